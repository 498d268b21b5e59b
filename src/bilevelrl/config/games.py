"""The blocks of params.yaml that the games in which the leader acts have."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.config.blocks import Rows, StudyParams
from bilevelrl.config.validation import (
    LARGEST,
    Block,
    Choices,
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


class DiscreteToyParams(Block):
    """Constants of the discrete toy, see `problems.discrete_toy.discrete_toy`."""

    revisit_reward: float
    leader_discount: Discount
    follower_discount: Discount
    max_episode_steps: Count


class DiscreteToyLeaders(Block):
    """What all cells share and an entry may override; see `GameSetting`."""

    num_updates: Count
    max_rows: Rows
    returns: Literal["discounted", "undiscounted"]
    temperature: Positive
    env_steps_per_update: Count
    random_updates: Whole
    step_size: Positive
    critic_step_size: UnitInterval
    target_rate: UnitInterval
    minibatch: Count
    follower_samples: Count


class BilevelLQRParams(Block):
    """Constants of BilevelLQR, see `problems.bilevel_lqr.BilevelLQR`, which checks them."""

    state_matrix: Matrix
    follower_matrix: Matrix
    leader_matrix: Matrix
    state_cost: Matrix
    control_cost: Matrix
    target: Vector
    target_scale: Vector
    initial_state: Vector
    leader_reward_scale: Positive
    leader_discount: Discount
    follower_discount: Discount
    max_episode_steps: Count


class BilevelLQRLeaders(DiscreteToyLeaders):
    """As of the discrete toy, and what continuous actions need."""

    leader_samples: Count
    leader_noise: Positive
    initial_spread: Positive


class AscentParams(Block):
    """Search by exact ascent from many starts θ ~ N(0, spread²)."""

    temperatures: Choices[Positive]
    seed: Seed
    starts: Count
    spread: Positive
    num_updates: Count
    step_size: Positive


class LandscapeParams(Block):
    """Search along the one probability that J of the toy depends on."""

    temperatures: Choices[Positive]
    points: Annotated[int, Field(ge=3, le=LARGEST)]


class GameGradientParams(StudyParams[Inside]):
    """The estimator-error study of a game: at which policies, from how many transitions.

    A point is the leader's probability of 1 in state A.
    """

    points: Choices[Inside]
    budgets: Choices[Count]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


class LinearGradientParams(StudyParams[Vector]):
    """The estimator-error study of BilevelLQR: at which gains, from how many transitions."""

    points: Choices[Vector]
    budgets: Choices[Count]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]
