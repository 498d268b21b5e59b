"""The blocks of params.yaml that the games in which the leader acts have."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.blocks import SearchBlock
from bilevelrl.core.problem import TrainingBlock
from bilevelrl.core.validation import (
    Count,
    Positive,
    Seed,
    UnitInterval,
    Whole,
)

Discount = Annotated[float, Field(ge=0.0, lt=1.0)]
Inside = Annotated[float, Field(gt=0.0, lt=1.0)]
Vector = Annotated[tuple[float, ...], Field(min_length=1, strict=False)]
Matrix = Annotated[tuple[Vector, ...], Field(min_length=1, strict=False)]


class GameLeaders(TrainingBlock):
    """What all cells share and an entry may override; see `GameSetting`."""

    returns: Literal["discounted", "undiscounted"]
    temperature: Positive
    env_steps_per_update: Count
    random_updates: Whole
    step_size: Positive
    critic_step_size: UnitInterval
    target_rate: UnitInterval
    minibatch: Count
    follower_samples: Count


class AscentParams(SearchBlock):
    """Search by exact ascent from many starts θ ~ N(0, spread²)."""

    seed: Seed
    starts: Count
    spread: Positive
    num_updates: Count
    step_size: Positive
