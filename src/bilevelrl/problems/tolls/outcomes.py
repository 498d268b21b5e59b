"""What trained planners make of the roads."""

from collections.abc import Iterator

import pandas as pd

from bilevelrl.core.problem import Problem
from bilevelrl.evaluation.conditions import GROUP, conditions_of, study_of, with_conditions
from bilevelrl.problems.tolls.cell import make_problem
from bilevelrl.problems.tolls.links import link_table
from bilevelrl.problems.tolls.settings import TollsBlock
from bilevelrl.runs.records import Cell

#: A row per link of the first seed of every setting of the main comparison.
PRICED_COLUMNS: dict[str, str] = {
    **dict.fromkeys(GROUP, "string"),
    "temperature": "float64",
    "seed": "int64",
    **dict.fromkeys(("link", "tail", "head"), "int64"),
    **dict.fromkeys(("toll", "flow", "time_ratio"), "float64"),
}


def tables(problem: Problem[TollsBlock], cell: Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """What the leaders stage writes beside the runs of a cell: name and table."""
    yield "priced_links", priced_links(problem, cell)


def priced_links(problem: Problem[TollsBlock], cell: Cell) -> pd.DataFrame:
    """Columns `PRICED_COLUMNS`: links under the tolls that runs ended with."""
    pricing, seen = make_problem(problem.block.constants), set[tuple[str, str]]()
    found = [pd.DataFrame(columns=list(PRICED_COLUMNS)).astype(PRICED_COLUMNS)]
    for run, theta in sorted(
        zip(cell.runs, cell.leaders, strict=True), key=lambda pair: pair[0].seed
    ):
        if study_of(run) != "main" or (run.variant, run.setting) in seen or run.failure:
            continue
        seen.add((run.variant, run.setting))
        told = run.conditions
        roads = pricing.roads(told["objective"], int(told["tollable"]))
        rationality = 1.0 / float(told["temperature"])
        table = link_table(roads, theta, rationality, problem.followers.tolerance)
        table = table.assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
        known = with_conditions(table, conditions_of([run]))
        found.append(known[list(PRICED_COLUMNS)].astype(PRICED_COLUMNS))
    return pd.concat(found, ignore_index=True)
