"""What trained networks make of days of every type."""

import numpy as np
import pandas as pd

from bilevelrl.core.problem import Problem
from bilevelrl.evaluation.conditions import GROUP, conditions_of, with_conditions
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock
from bilevelrl.problems.home_battery.varying_days.cell import make_varying_days
from bilevelrl.problems.home_battery.varying_days.days import TYPED_COLUMNS, typed_table
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.tariffs import NetworkPrices
from bilevelrl.runs.records import Cell

#: A row per type of day and hour, of the first seed of every setting of a network.
NETWORK_COLUMNS: dict[str, str] = {
    **dict.fromkeys(GROUP, "string"),
    "temperature": "float64",
    "case": "string",
    "study": "string",
    "seed": "int64",
    **dict.fromkeys(TYPED_COLUMNS, "float64"),
    "hour": "int64",
}


def network_days(problem: Problem[HomeBatteryBlock], cell: Cell) -> pd.DataFrame:
    """Columns `NETWORK_COLUMNS`: the mean day of every type under the prices of networks."""
    seen = set[tuple[str, str]]()
    found = [pd.DataFrame(columns=list(NETWORK_COLUMNS)).astype(NETWORK_COLUMNS)]
    for run, theta in sorted(
        zip(cell.runs, cell.leaders, strict=True), key=lambda pair: pair[0].seed
    ):
        told, own = run.conditions, (run.variant, run.setting)
        if told.get("leader") != "network" or own in seen or run.failure:
            continue
        seen.add(own)
        houses = make_varying_days(
            problem.block.constants, int(told["houses"]), float(told["tariff_weight"]),
            float(told["day_spread"]),
        )  # fmt: skip
        tariff = NetworkPrices(houses, int(run.hyperparameters["network_width"]))
        beta = np.array([float(told["temperature"])])
        planner = VaryingPlanner(houses, beta, problem.followers.tolerance)
        table = typed_table(planner, tariff.prices(theta[None])[0])
        table = table.assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
        known = with_conditions(table, conditions_of([run]))
        found.append(known[list(NETWORK_COLUMNS)].astype(NETWORK_COLUMNS))
    return pd.concat(found, ignore_index=True)
