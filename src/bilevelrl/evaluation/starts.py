"""Where exact ascent ends, by where it starts."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.run_scores import arrival_name, share_of, threshold_name
from bilevelrl.runs.evaluate_block import EvaluateParams

_RETURNS = {"median": "median", "best": "max", "mean": "mean", "worst": "min"}


def start_table(
    starts: pd.DataFrame, baselines: pd.DataFrame, params: EvaluateParams
) -> pd.DataFrame:
    """Summarise the search for the best known J by kind of start.

    Args:
        starts: columns `runs.records.START_COLUMNS`.
        baselines: columns `BASELINE_COLUMNS`.
        params: `stuck_radius` and `thresholds` are used.

    Returns:
        One row per problem, variant, temperature and kind: number of starts, fraction that ended
        stuck, fraction that reached each threshold, starts without a finite J (`failed`), and
        median, best, mean and worst of the others' J.
    """
    keys = ["problem", "variant", "temperature"]
    known = starts.merge(baselines, on=keys, validate="many_to_one")
    distance = (known["leader_return"] - known["charge_nothing_return"]).abs()
    columns = {"stuck_fraction": distance <= params.stuck_radius}
    for fraction in params.thresholds:
        level = share_of(known["best_known"], fraction)
        columns[arrival_name(threshold_name(fraction))] = known["leader_return"] >= level
    returns = known["leader_return"].replace([np.inf, -np.inf], np.nan)
    groups = known.assign(**columns, finite_return=returns).groupby([*keys, "kind"])
    table = groups[list(columns)].mean()
    table.insert(0, "starts", groups.size())
    for name, statistic in _RETURNS.items():
        table[f"{name}_return"] = groups["finite_return"].agg(statistic)
    table["failed"] = groups.size() - groups["finite_return"].count()
    return table.reset_index()
