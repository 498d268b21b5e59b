"""Small houses on days that vary."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.home_battery.profiles import mean_days
from bilevelrl.problems.home_battery.varying_days.day_types import day_types
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays, varying_days

Floats = NDArray[np.float64]
#: β of two runs.
TEMPERATURE = np.array([0.05, 0.1])


def small(houses: int = 2, spread: float = 0.2, **changes: object) -> VaryingDays:
    """On a coarse grid, so that tests take no time."""
    own: dict[str, object] = {"num_charges": 9, "num_actions": 11, "noise": 0.2}
    return varying_days(mean_days(houses), day_types(spread), **(own | changes))  # type: ignore[arg-type]


def planner(problem: VaryingDays) -> VaryingPlanner:
    """Of two runs."""
    return VaryingPlanner(problem, TEMPERATURE, tolerance=1e-13)


def some_prices(problem: VaryingDays, seed: int = 0) -> Floats:
    """Of two runs, $/kWh, shape (2, K, 24)."""
    shape = (2, problem.types.number, 24)
    return np.random.default_rng(seed).uniform(0.05, 0.6, shape)
