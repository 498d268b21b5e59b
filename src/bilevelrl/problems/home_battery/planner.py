"""Houses that plan: the soft dynamic program over the hours of a day that repeats."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.kernels import plan
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS


@dataclass(frozen=True, eq=False)
class HouseholdResponse:
    """What H houses play in each of R runs.

    Attributes:
        policy: π(a | h, c), shape (R, H, 24, C, A); 0 for actions that are refused.
        value: soft value V_F(h, c) in $, shape (R, H, 24, C).
        certified: bound on the error of V_F at midnight, in $, shape (R, H).
        days: planned backwards, or 0, shape (R, H).
        steps: transitions that each run's houses learned this answer from, all of them together.
    """

    policy: Floats
    value: Floats
    certified: Floats
    days: Index
    steps: int = 0

    @property
    def accuracy(self) -> Floats:
        """The largest bound of all houses, shape (R,)."""
        largest: Floats = self.certified.max(axis=1)
        return largest


class Household(Protocol):
    """Answers the leader; what it carries from one answer to the next lives in `memory`."""

    @property
    def problem(self) -> HomeBattery:
        """The houses."""

    @property
    def temperature(self) -> Floats:
        """β of each run, in $, shape (R,)."""

    def start(self, num_runs: int, streams: Streams) -> Any:
        """Memory before the first answer, one row per run."""

    def respond(self, reward: Floats, memory: Any, streams: Streams) -> HouseholdResponse:
        """Answer r_F, shape (R, H, 24, C, A), in $; updates `memory` in place."""


def check_temperature(temperature: Floats) -> None:
    """Raise a ValueError unless it is one positive number per run, shape (R,)."""
    if temperature.ndim != 1 or not ((temperature > 0.0) & (temperature < np.inf)).all():
        raise ValueError(f"temperature must be one positive number a run, got {temperature}")


def _planned(
    problem: HomeBattery,
    reward: Floats,
    temperature: Floats,
    value: Floats,
    tolerance: float,
    max_days: Index,
) -> HouseholdResponse:
    grid, shape = problem.grid, reward.shape[:2]
    rows = reward.reshape(-1, *reward.shape[2:])
    values = np.ascontiguousarray(value.reshape(-1, *value.shape[2:]))
    policy, accuracy = np.zeros_like(rows), np.empty(len(rows))
    days = np.zeros(len(rows), np.int64)
    plan(
        rows, grid.allowed, grid.lower, grid.share, np.repeat(temperature, shape[1]),
        problem.follower_discount, tolerance, np.repeat(max_days, shape[1]), values, policy,
        accuracy, days,
    )  # fmt: skip
    return HouseholdResponse(
        policy.reshape(reward.shape),
        values.reshape(value.shape),
        accuracy.reshape(shape),
        days.reshape(shape),
    )


def _midnights(problem: HomeBattery, memory: Floats) -> Floats:
    # V (R, H, 24, C) of which only the midnight is known.
    value = np.zeros((*memory.shape[:2], HOURS, memory.shape[2]))
    value[:, :, 0] = memory
    return value


@dataclass(frozen=True, eq=False)
class ExactPlanner:
    """Implements `Household`: the soft-optimal policy on the grid.

    Attributes:
        problem: the houses.
        temperature: β of each run, in $, shape (R,).
        tolerance: of V_F at midnight, in $.
        max_days: days to plan before giving up.

    Raises:
        ValueError: if a temperature is not positive.
    """

    problem: HomeBattery
    temperature: Floats
    tolerance: float = 1e-12
    max_days: int = 1000

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """V of midnight, which is where planning begins, shape (R, H, C)."""
        del streams
        return np.zeros((num_runs, self.problem.num_houses, self.problem.num_charges))

    def respond(
        self, reward: Floats, memory: Floats, streams: Streams | None = None
    ) -> HouseholdResponse:
        """Answer r_F, shape (R, H, 24, C, A), in $; updates `memory` in place.

        Raises:
            NotConverged: if `max_days` are not enough.
        """
        del streams
        limit = np.full(len(reward), self.max_days, np.int64)
        value = _midnights(self.problem, memory)
        answer = _planned(self.problem, reward, self.temperature, value, self.tolerance, limit)
        if not (answer.certified <= self.tolerance).all():
            raise NotConverged(
                f"tolerance = {self.tolerance}: V is certain to {answer.accuracy.max()} after "
                f"max_days = {self.max_days} days"
            )
        memory[:] = answer.value[:, :, 0]
        return answer

    def best(self, theta: Floats) -> HouseholdResponse:
        """The answer to θ, shape (R, 24), from a cold start."""
        return self.respond(self.problem.follower_reward(theta), self.start(len(theta)))


@dataclass(frozen=True, eq=False)
class TruncatedPlanner:
    """Implements `Household`: so many days backwards, from the value of the answer before.

    Attributes:
        problem: the houses.
        temperature: β of each run, in $, shape (R,).
        planned_days: of each run, shape (R,).
        start_from: "carry" goes on from the last answer, "reset" begins with V = 0 every time.

    Raises:
        ValueError: if a temperature is not positive, or less than a day is planned.
    """

    problem: HomeBattery
    temperature: Floats
    planned_days: Index
    start_from: Literal["carry", "reset"] = "carry"

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if self.planned_days.shape != self.temperature.shape or (self.planned_days < 1).any():
            raise ValueError(f"planned_days must be at least 1 a run, got {self.planned_days}")
        if self.start_from not in ("carry", "reset"):
            raise ValueError(f"start_from must be 'carry' or 'reset', got {self.start_from!r}")

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """V of midnight, nothing before the first answer, shape (R, H, C)."""
        del streams
        return np.zeros((num_runs, self.problem.num_houses, self.problem.num_charges))

    def respond(
        self, reward: Floats, memory: Floats, streams: Streams | None = None
    ) -> HouseholdResponse:
        """Answer r_F, shape (R, H, 24, C, A), in $; updates `memory` in place."""
        del streams
        if self.start_from == "reset":
            memory[:] = 0.0
        value = _midnights(self.problem, memory)
        answer = _planned(self.problem, reward, self.temperature, value, -1.0, self.planned_days)
        memory[:] = answer.value[:, :, 0]
        return answer
