"""The blocks of params.yaml that need no more than their own values."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from bilevelrl.config.validation import (
    LARGEST,
    Apart,
    Block,
    Choices,
    Count,
    Distinct,
    NonNegative,
    Positive,
    Seed,
    UnitInterval,
    Whole,
)

Rows = Annotated[int, Field(ge=1, le=500)]


class Runtime(Block):
    """How to compute; changes nothing in the results, so no DVC stage depends on it."""

    jobs: Count
    threads: Count
    backend: Literal["loky", "dask"]
    dask_scheduler: str | None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Runtime":
        if self.backend == "dask" and not self.dask_scheduler:
            raise ValueError("backend 'dask' needs dask_scheduler, e.g. tcp://127.0.0.1:8786")
        return self


class FourRoomsParams(Block):
    """Constants of FourRooms, see `problems.four_rooms.FourRooms`."""

    discount: Annotated[float, Field(ge=0.0, lt=1.0)]
    fail_probability: Annotated[float, Field(ge=0.0, lt=0.75)]
    incentive_scale: Positive
    incentive_cost: NonNegative
    max_episode_steps: Count


class SearchParams(Block):
    """Multi-start exact ascent for the best known J."""

    temperatures: Choices[Positive]
    seed: Seed
    random_starts: Count
    random_spreads: Choices[Positive]
    heights: Choices[Positive]
    num_updates: Count
    first_step_size: Positive
    last_step_size: Positive


class SoftQParams(Block):
    """Tabular soft Q-learning, see `followers.soft_q_learning.SoftQOptions`."""

    exploration: Annotated[float, Field(ge=0.0, le=1.0)]
    settle: Positive
    exponent: Annotated[float, Field(gt=0.5, le=1.0)]
    smallest_step: Annotated[float, Field(ge=0.0, lt=1.0)]


class SacParams(Block):
    """An agent of Stable-Baselines3, see `followers.soft_actor_critic.SacOptions`.

    Attributes:
        action_bound, training_horizon: see `problems.follower_view.ViewOptions`.
        episodes: of each evaluation of what it plays.
    """

    units: Count
    activation: Literal["relu", "tanh"]
    critics: Count
    step_size: Positive
    last_step_size: Positive
    decay_steps: Count
    batch_size: Count
    target_rate: UnitInterval
    start_steps: Count
    capacity: Count
    reward_scale: Positive
    num_envs: Count
    gradient_steps: Count
    action_bound: Positive
    training_horizon: Count
    episodes: Count


class FollowerParams(Block):
    """The followers of one problem: accuracy of the solvers, and how the one that learns does.

    Attributes:
        tolerance: certified, on the soft value.
        max_iterations: of the exact solvers.
        sweeps: per policy iteration, of the truncated follower.
        learner: rule of a follower that learns; None where none does, or its settings say it.
    """

    tolerance: Positive
    max_iterations: Count
    sweeps: Count
    learner: SoftQParams | SacParams | None

    @property
    def soft_q(self) -> SoftQParams:
        """The rule of a tabular follower.

        Raises:
            TypeError: if the follower that learns is another.
        """
        if not isinstance(self.learner, SoftQParams):
            raise TypeError(f"the learner is no soft Q-learning: {self.learner!r}")
        return self.learner

    @property
    def sac(self) -> SacParams:
        """The rule of an agent of Stable-Baselines3.

        Raises:
            TypeError: if the follower that learns is another.
        """
        if not isinstance(self.learner, SacParams):
            raise TypeError(f"the learner is no SAC: {self.learner!r}")
        return self.learner


class LearningParams(Block):
    """Followers that learn at the initial θ, one per seed; `steps` are checkpoints.

    Attributes:
        first_seed, num_seeds: which followers.
        steps: transitions, increasing.
    """

    first_seed: Seed
    num_seeds: Count
    steps: tuple[Count, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _increasing(self) -> "LearningParams":
        if any(later <= earlier for earlier, later in pairwise(self.steps)):
            raise ValueError(f"steps = {list(self.steps)} must increase")
        return self

    @property
    def seeds(self) -> range:
        """One follower each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


class FourRoomsLeaders(Block):
    """What all cells share; an entry may set its own `initial_spread`."""

    num_updates: Count
    max_rows: Rows
    max_gradient_norm: Positive
    initial_spread: Positive


Point = TypeVar("Point")


class InformationParams(Block, Generic[Point]):
    """Estimates at one θ from ever more transitions, see `information_errors`.

    Attributes:
        point: the θ; what it says depends on the problem.
        sizes: transitions of an estimate, increasing.
        batches: equal ones that they come in.
        replicates: of every size.
    """

    point: Point
    sizes: tuple[Count, ...] = Field(min_length=3, strict=False)
    batches: Count
    replicates: Annotated[int, Field(ge=2, le=LARGEST)]

    @model_validator(mode="after")
    def _increasing(self) -> "InformationParams[Point]":
        if any(later <= earlier for earlier, later in pairwise(self.sizes)):
            raise ValueError(f"sizes = {list(self.sizes)} must increase")
        return self

    def seeds(self, first: int) -> Iterator[tuple[int, range]]:
        """(size, its seeds), counted from `first`; no two sizes share one."""
        for place, size in enumerate(self.sizes):
            start = first + place * self.replicates
            yield size, range(start, start + self.replicates)

    @property
    def num_seeds(self) -> int:
        """Of all sizes together."""
        return len(self.sizes) * self.replicates


class StudyParams(Block, Generic[Point]):
    """What every study of estimators at fixed θ has.

    Attributes:
        temperature: β of the follower.
        first_seed: of the replicates, and of the estimates of `information`.
        replicates: of every estimate.
        information: see `InformationParams`.
    """

    temperature: Positive
    first_seed: Seed
    replicates: Annotated[int, Field(ge=2, le=LARGEST)]
    information: InformationParams[Point]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """Numbers of transitions that must be those of whole episodes, each with its key."""
        return []

    def seed_counts(self) -> dict[str, int]:
        """Beside the replicates, those of `information`."""
        own = self.information.num_seeds
        return super().seed_counts() | {"information.sizes * information.replicates": own}


class GradientParams(StudyParams[Positive]):
    """The estimator-error study at fixed θ; `budgets` maps transitions to parallel environments.

    `information.point` is a share of the best known θ, as `best_fraction`.
    """

    warm_up_steps: Whole
    budgets: dict[Count, Count] = Field(min_length=1)
    critic_step_size: UnitInterval
    oracle_steps_per_update: Count
    radius: Positive
    trajectory_seed: Seed
    trajectory_spread: Positive
    trajectory_updates: Distinct[Whole]
    best_fraction: Positive

    @model_validator(mode="after")
    def _divisible(self) -> "GradientParams":
        for budget, num_envs in self.budgets.items():
            for steps in (budget, self.oracle_steps_per_update):
                if steps % num_envs:
                    raise ValueError(
                        f"{steps} transitions are not divisible by the {num_envs} environments "
                        f"of budget {budget}"
                    )
        return self


class EvaluateParams(Block):
    """Statistics: intervals, thresholds (fractions of the best known J), what counts as stuck."""

    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    thresholds: Annotated[Distinct[UnitInterval], Apart]
    return_thresholds: dict[str, Annotated[Choices[float], Apart]]
    stuck_radius: Positive
    published_updates: Distinct[Count]
    final_fraction: UnitInterval
