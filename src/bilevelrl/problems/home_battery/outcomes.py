"""What trained leaders make of a day."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bilevelrl.core.problem import Problem
from bilevelrl.evaluation.conditions import GROUP, conditions_of, study_of, with_conditions
from bilevelrl.problems.home_battery.cell import exact_planner, make_problem
from bilevelrl.problems.home_battery.days import DAY_COLUMNS, day_table
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock
from bilevelrl.problems.home_battery.varying_days.outcomes import network_days
from bilevelrl.problems.home_battery.verdicts import verdicts
from bilevelrl.runs.records import Cell

#: A row per hour of the first seed of every setting of the main comparison.
PRICED_COLUMNS: dict[str, str] = {
    **dict.fromkeys(GROUP, "string"),
    "temperature": "float64",
    "case": "string",
    "seed": "int64",
    "hour": "int64",
    **dict.fromkeys(DAY_COLUMNS[1:], "float64"),
}


def tables(problem: Problem[HomeBatteryBlock], cell: Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """What the leaders stage writes beside the runs of a cell: name and table."""
    yield "priced_days", priced_days(problem, cell)
    yield "network_days", network_days(problem, cell)
    yield "verdicts", verdicts(cell)


def priced_days(problem: Problem[HomeBatteryBlock], cell: Cell) -> pd.DataFrame:
    """Columns `PRICED_COLUMNS`: the mean day under the prices that runs ended with."""
    seen = set[tuple[str, str]]()
    found = [pd.DataFrame(columns=list(PRICED_COLUMNS)).astype(PRICED_COLUMNS)]
    for run, theta in sorted(
        zip(cell.runs, cell.leaders, strict=True), key=lambda pair: pair[0].seed
    ):
        if study_of(run) != "main" or (run.variant, run.setting) in seen or run.failure:
            continue
        seen.add((run.variant, run.setting))
        told = run.conditions
        battery = make_problem(
            problem.block.constants, int(told["houses"]), float(told["tariff_weight"])
        )
        beta = np.array([float(told["temperature"])])
        table = day_table(exact_planner(battery, beta, problem.followers), theta)
        table = table.assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
        known = with_conditions(table, conditions_of([run]))
        found.append(known[list(PRICED_COLUMNS)].astype(PRICED_COLUMNS))
    return pd.concat(found, ignore_index=True)
