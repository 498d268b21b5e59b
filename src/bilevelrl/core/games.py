"""What params.yaml says of the games in which the leader acts."""

from typing import Annotated, Generic, Literal

from pydantic import Field

from bilevelrl.core.blocks import InformedStudyParams, Point, SearchBlock
from bilevelrl.core.problem import ProblemBlock, TrainingBlock
from bilevelrl.core.settings import PER_RUN, AscentSetting, BatchSetting, Component
from bilevelrl.core.validation import (
    Block,
    Choices,
    Content,
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


class SharedCritic(Block):
    """What the entries of a game share of the released code's critic, see `ReleasedCritic`."""

    kind: Literal["network"]
    step_size: UnitInterval


class GameLeaders(TrainingBlock):
    """What all cells share and an entry may override; see the settings of the estimators."""

    returns: Literal["discounted", "undiscounted"]
    temperature: Positive
    env_steps_per_update: Count
    random_updates: Whole
    step_size: Positive
    critic: SharedCritic
    target_rate: UnitInterval
    minibatch: Count
    follower_samples: Count


class GameStudyParams(InformedStudyParams[Point], Generic[Point]):
    """The estimator-error study of a game: at which leaders, from how many transitions."""

    points: Choices[Point]
    budgets: Choices[Count]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


class GameBlock(ProblemBlock):
    """The block of a game in which the leader acts."""

    training: GameLeaders

    @property
    def reported_return(self) -> str:
        """Which J is reported."""
        return self.training.returns


class AscentParams(SearchBlock):
    """Search by exact ascent from many starts θ ~ N(0, spread²)."""

    seed: Seed
    starts: Count
    spread: Positive
    num_updates: Count
    step_size: Positive


class ReleasedCritic(Component):
    """The released code's critic: C `steps` of Adam per update of the leader."""

    kind: Literal["network"]
    steps: Count
    step_size: Annotated[UnitInterval, PER_RUN]


class GameSetting(AscentSetting):
    """Settings of the games in which the leader acts; `returns` tells how J is reported.

    The leader always climbs the discounted one.
    """

    returns: Literal["discounted", "undiscounted"]

    def conditions(self, shared: Content) -> Content:
        """The kind of return beside what every setting says."""
        return super().conditions(shared) | {"return": self.returns}


class SampledGameSetting(GameSetting, BatchSetting):
    """Of estimators that sample; transitions per update are whole episodes.

    Attributes:
        random_updates: first updates during which the leader acts at random.
        actor_steps: M, steps of θ per update.
    """

    random_updates: Whole
    actor_steps: Count


class ReleasedGameSetting(SampledGameSetting):
    """Of the released code's leaders.

    Attributes:
        target_rate: share of the new networks in their slow copies, once per update.
        minibatch: transitions per actor or critic step.
    """

    critic: ReleasedCritic
    target_rate: UnitInterval
    minibatch: Count


class CorrectedGameSetting(SampledGameSetting):
    """Of the corrected BC-HG; `control_variate` centres the follower's side too.

    The step size falls geometrically, to a share `step_size_ratio` of the first one in the end.
    """

    step_size_ratio: UnitInterval = 1.0
    control_variate: bool = False


class ZeroOrderGameSetting(GameSetting):
    """Of the zero-order estimator, which evaluates J 2 `radius` apart."""

    radius: Annotated[Positive, PER_RUN]
