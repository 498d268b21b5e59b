"""The mean day of every type hour by hour, as a table."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.days import DAY_COLUMNS
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.varying_days.exact import typed_days
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner

#: A day's factors of load and of sunshine, and how likely its type is; then as `DAY_COLUMNS`.
TYPED_COLUMNS = ("load_factor", "solar_factor", "probability", *DAY_COLUMNS)


def typed_table(planner: VaryingPlanner, prices: Floats) -> pd.DataFrame:
    """Columns `TYPED_COLUMNS` under prices, shape (K, 24), of a planner of one run."""
    problem, types = planner.problem, planner.problem.types
    days = typed_days(problem, planner.best(prices[None]).policy)
    columns = {
        "load_factor": np.repeat(types.load, HOURS),
        "solar_factor": np.repeat(types.solar, HOURS),
        "probability": np.repeat(types.probability, HOURS),
        "hour": np.tile(np.arange(HOURS), types.number),
        "price": prices.reshape(-1),
        "energy": days.total[0].reshape(-1),
        "charge": days.charge[0].sum(axis=0).reshape(-1),
        "without_battery": problem.net.sum(axis=0).reshape(-1),
    }
    return pd.DataFrame(columns)[list(TYPED_COLUMNS)]
