"""Three verdicts on every update where houses do not play their best response, and their errors.

J as played, J under the best response, and the cosine with the hypergradient; `core.error_parts`.
"""

import pandas as pd

from bilevelrl.core.error_parts import PARTS, SQUARE
from bilevelrl.evaluation.conditions import GROUP, conditions_of, with_conditions
from bilevelrl.runs.records import Cell

_KEYS = (*GROUP, "seed", "update")
#: A row per recorded update of every run.
VERDICT_COLUMNS: dict[str, str] = {
    **dict.fromkeys(GROUP, "string"),
    "temperature": "float64",
    "case": "string",
    "follower": "string",
    "seed": "int64",
    "update": "int64",
    "played_return": "float64",
    "leader_return_optimal": "float64",
    "cosine": "float64",
    **dict.fromkeys((*PARTS, SQUARE), "float64"),
}


def verdicts(cell: Cell) -> pd.DataFrame:
    """Columns `VERDICT_COLUMNS`, of runs whose errors are known in parts."""
    own = cell.coordinates[cell.coordinates["coordinate"].isin([*PARTS, SQUARE])]
    if own.empty:
        return pd.DataFrame(columns=list(VERDICT_COLUMNS)).astype(VERDICT_COLUMNS)
    parts = own.pivot(index=list(_KEYS), columns="coordinate", values="value").reset_index()
    told = ["played_return", "leader_return_optimal", "cosine"]
    table = parts.merge(cell.curves[[*_KEYS, *told]], on=list(_KEYS))
    known = with_conditions(table, conditions_of(cell.runs))
    return known[list(VERDICT_COLUMNS)].astype(VERDICT_COLUMNS)
