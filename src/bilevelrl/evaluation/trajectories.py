"""Where the runs of the main comparison went, for problems that depend on a few numbers only."""

import pandas as pd

from bilevelrl.evaluation.conditions import (
    CONDITION_COLUMNS,
    GROUP,
    conditions_of,
    with_conditions,
)
from bilevelrl.runs.records import COORDINATE_COLUMNS, Cell

TRAJECTORY_COLUMNS: dict[str, str] = (
    COORDINATE_COLUMNS | CONDITION_COLUMNS | {"leader_return": "float64"}
)


def main_trajectories(cell: Cell) -> pd.DataFrame:
    """Coordinates and J at the best response of every recorded update.

    At the best response even where the follower played something else: that is the J whose
    landscape the trajectories are drawn on.

    Returns:
        Columns `TRAJECTORY_COLUMNS`.
    """
    key = [*GROUP, "seed", "update"]
    places = with_conditions(cell.coordinates, conditions_of(cell.runs))
    places = places[places["study"] == "main"]
    returns = cell.curves[[*key, "leader_return_optimal"]].rename(
        columns={"leader_return_optimal": "leader_return"}
    )
    return places.merge(returns, on=key)[list(TRAJECTORY_COLUMNS)].astype(TRAJECTORY_COLUMNS)
