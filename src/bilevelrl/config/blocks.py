"""The blocks of params.yaml that need no more than their own values."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from bilevelrl.config.validation import Block, Count, NonNegative, Positive, Probability, Seed

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

    temperatures: tuple[Positive, ...] = Field(min_length=1, strict=False)
    seed: Seed
    random_starts: Count
    random_spreads: tuple[Positive, ...] = Field(min_length=1, strict=False)
    heights: tuple[Positive, ...] = Field(min_length=1, strict=False)
    num_updates: Count
    first_step_size: Positive
    last_step_size: Positive


class SoftQParams(Block):
    """Tabular soft Q-learning, see `followers.soft_q_learning.SoftQOptions`."""

    exploration: Annotated[float, Field(ge=0.0, le=1.0)]
    settle: Positive
    exponent: Annotated[float, Field(gt=0.5, le=1.0)]
    smallest_step: Annotated[float, Field(ge=0.0, lt=1.0)]


class SoftQFamilies(Block):
    """One block per family of tabular problems."""

    four_rooms: SoftQParams
    discrete_toy: SoftQParams


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
    target_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    start_steps: Count
    capacity: Count
    reward_scale: Positive
    num_envs: Count
    gradient_steps: Count
    action_bound: Positive
    training_horizon: Count
    episodes: Count


class SacFamilies(Block):
    """One block per problem with continuous actions."""

    bilevel_lqr: SacParams
    thermal_control: SacParams


class FollowerParams(Block):
    """The follower's solvers: certified tolerance, and the sweeps of the released code's solver.

    Attributes:
        tolerance: certified, on the soft value.
        max_iterations: of the exact solvers.
        sweeps: per policy iteration, of the truncated follower.
        soft_q: learning rules of tabular followers.
        sac: and of those with continuous actions.
    """

    tolerance: Positive
    max_iterations: Count
    sweeps: Count
    soft_q: SoftQFamilies
    sac: SacFamilies


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
    """What all cells share; `first_seed` and `num_seeds`, `initial_spread` may be set per entry."""

    first_seed: Seed
    num_seeds: Count
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
    replicates: Annotated[int, Field(ge=2)]

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


class GradientParams(Block):
    """The estimator-error study at fixed θ; `budgets` maps transitions to parallel environments.

    `information.point` is a share of the best known θ, as `best_fraction`.
    """

    temperature: Positive
    first_seed: Seed
    replicates: Annotated[int, Field(ge=2)]
    warm_up_steps: Annotated[int, Field(ge=0)]
    budgets: dict[Count, Count] = Field(min_length=1)
    critic_step_size: Annotated[float, Field(gt=0.0, le=1.0)]
    oracle_steps_per_update: Count
    radius: Positive
    trajectory_seed: Seed
    trajectory_spread: Positive
    trajectory_updates: tuple[Annotated[int, Field(ge=0)], ...] = Field(strict=False)
    best_fraction: Positive
    information: InformationParams[Positive]

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
    thresholds: tuple[Probability, ...] = Field(strict=False)
    return_thresholds: dict[str, Annotated[tuple[float, ...], Field(strict=False)]]
    stuck_radius: Positive
    published_updates: tuple[Count, ...] = Field(strict=False)
    final_fraction: Annotated[float, Field(gt=0.0, le=1.0)]
