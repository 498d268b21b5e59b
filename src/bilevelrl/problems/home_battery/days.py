"""The mean day of houses hour by hour, as a table."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.exact import mean_day
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.profiles import HOURS

#: `price` in $/kWh; `energy` from the grid and `charge` at the start of the hour in kWh, of all
#: houses together; `without_battery` is the energy if no battery was used.
DAY_COLUMNS = ("hour", "price", "energy", "charge", "without_battery")


def day_table(planner: ExactPlanner, theta: Floats) -> pd.DataFrame:
    """Columns `DAY_COLUMNS` under prices, shape (24,), of a planner of one run."""
    problem = planner.problem
    days = mean_day(problem, planner.best(theta[None]).policy)
    columns = {
        "hour": np.arange(HOURS),
        "price": theta,
        "energy": days.total[0],
        "charge": days.charge[0].sum(axis=0),
        "without_battery": problem.demand.mean.sum(axis=0),
    }
    return pd.DataFrame(columns)[list(DAY_COLUMNS)]
