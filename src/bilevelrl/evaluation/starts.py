"""Where exact ascent ends, by where it starts."""

import pandas as pd

from bilevelrl.config import EvaluateParams


def start_table(
    starts: pd.DataFrame, baselines: pd.DataFrame, params: EvaluateParams
) -> pd.DataFrame:
    """Summarise the search for the best known J by kind of start.

    Args:
        starts: columns `records.START_COLUMNS`.
        baselines: best known J and J of charging nothing, by problem, variant and temperature.
        params: `stuck_radius` and `thresholds` are used.

    Returns:
        One row per problem, variant, temperature and kind: number of starts, fraction that ended
        stuck, fraction that reached each threshold, median and best J.
    """
    keys = ["problem", "variant", "temperature"]
    known = starts.merge(baselines, on=keys, validate="many_to_one")
    distance = (known["leader_return"] - known["charge_nothing_return"]).abs()
    columns = {"stuck_fraction": distance <= params.stuck_radius}
    for fraction in params.thresholds:
        name = f"fraction_at_{round(100 * fraction)}_percent"
        columns[name] = known["leader_return"] >= fraction * known["best_known"]
    groups = known.assign(**columns).groupby([*keys, "kind"])
    table = groups[list(columns)].mean()
    table.insert(0, "starts", groups.size())
    table["median_return"] = groups["leader_return"].median()
    table["best_return"] = groups["leader_return"].max()
    return table.reset_index()
