"""Houses that plan on days that vary: the soft dynamic program over (type, hour, charge)."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.planner import check_temperature
from bilevelrl.problems.home_battery.varying_days.kernels import plan
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays


@dataclass(frozen=True, eq=False)
class VaryingResponse:
    """What H houses play in each of R runs.

    Attributes:
        prices: $/kWh that they answer, shape (R, K, 24).
        policy: π(a | m, h, c), shape (R, H, K, 24, C, A); 0 for actions that are refused.
        value: soft value V_F(m, h, c) in $, shape (R, H, K, 24, C).
        certified: bound on the error of the mean V_F at midnight, in $, shape (R, H).
        days: planned backwards, shape (R, H).
        steps: transitions that the houses learned from: none.
    """

    prices: Floats
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


@dataclass(frozen=True, eq=False)
class VaryingPlanner:
    """Houses that know the type of today, and how the types of all later days are drawn.

    Attributes:
        problem: the houses and their days.
        temperature: β of each run, in $, shape (R,).
        tolerance: of the mean V_F at midnight, in $.
        max_days: days to plan before giving up.

    Raises:
        ValueError: if a temperature is not positive.
    """

    problem: VaryingDays
    temperature: Floats
    tolerance: float = 1e-12
    max_days: int = 1000

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Mean V of midnight, which is where planning begins, shape (R, H, C)."""
        del streams
        houses = self.problem.houses
        return np.zeros((num_runs, houses.num_houses, houses.num_charges))

    def respond(self, prices: Floats, memory: Floats) -> VaryingResponse:
        """Answer prices (R, K, 24) in $/kWh; updates `memory` in place.

        Raises:
            NotConverged: if `max_days` are not enough.
        """
        problem, grid = self.problem, self.problem.houses.grid
        reward = problem.follower_reward(prices)
        shape, rows = reward.shape, reward.reshape(-1, *reward.shape[2:])
        value = np.zeros(rows.shape[:-1])
        value[:, :, 0] = memory.reshape(len(rows), 1, -1)
        policy, accuracy = np.zeros_like(rows), np.empty(len(rows))
        days = np.zeros(len(rows), np.int64)
        plan(
            rows, grid.allowed, grid.lower, grid.share, np.repeat(self.temperature, shape[1]),
            problem.types.probability, problem.houses.follower_discount, self.tolerance,
            self.max_days, value, policy, accuracy, days,
        )  # fmt: skip
        if not (accuracy <= self.tolerance).all():
            raise NotConverged(
                f"tolerance = {self.tolerance}: V is certain to {accuracy.max()} after "
                f"max_days = {self.max_days} days"
            )
        values = value.reshape(shape[:-1])
        memory[:] = (problem.types.probability[:, None] * values[:, :, :, 0]).sum(axis=2)
        return VaryingResponse(
            prices, policy.reshape(shape), values, accuracy.reshape(shape[:2]),
            days.reshape(shape[:2]),
        )  # fmt: skip

    def best(self, prices: Floats) -> VaryingResponse:
        """The answer to prices (R, K, 24), from a cold start."""
        return self.respond(prices, self.start(len(prices)))
