"""Our learning curves, averaged and masked as the published ones are."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.evaluation.conditions import typed
from bilevelrl.evaluation.reference import KEY
from bilevelrl.evaluation.statistics import (
    mean,
    standard_error,
    trimmed_mean,
    trimmed_standard_error,
)

_MEASURED = ["mean", "standard_error", "masked_mean", "masked_standard_error"]
AS_PUBLISHED_COLUMNS: dict[str, str] = {
    "problem": "string", "estimator": "string", "temperature": "float64", "budget": "int64",
    "averaged_over": "int64",
    "update": "int64",  # counts from 1, as in the figures: the last that entered
    **dict.fromkeys(_MEASURED, "float64"),
}  # fmt: skip


def main_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows of the `published` variants of the main comparison."""
    return curves[(curves["study"] == "main") & (curves["variant"] == "published")]


def curves_as_published(curves: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Our curves wherever a smoothed one is published: over seeds at every update, then over time.

    Mean and standard error over seeds are taken at every recorded window and averaged over the
    windows of the last `averaged_over` updates (over as many as there are in the beginning). The
    masked columns leave out the `masked` lowest and highest seeds of each window, as a figure
    without outliers does; they are NaN where the published curve is of all seeds.

    Args:
        curves: columns `CURVE_COLUMNS` and `CONDITION_COLUMNS` of one cell.
        reference: from `read_references`.

    Returns:
        Columns `AS_PUBLISHED_COLUMNS`, one row per recorded window.
    """
    smoothed = reference[reference["averaged_over"] > 1]
    shapes = smoothed[[*KEY, "averaged_over", "masked"]].drop_duplicates()
    ours = main_curves(curves).merge(shapes, on=KEY)
    return typed((_one_curve(rows) for _, rows in ours.groupby(KEY)), AS_PUBLISHED_COLUMNS)


def _one_curve(rows: pd.DataFrame) -> pd.DataFrame:
    averaged_over, masked = (int(rows[name].iloc[0]) for name in ("averaged_over", "masked"))
    returns = rows.pivot(index="update", columns="seed", values="leader_return_mean")
    scores: Floats = returns.to_numpy(dtype=np.float64)
    masked_columns: tuple[Floats | float, Floats | float] = (np.nan, np.nan)
    if 0 < 2 * masked < scores.shape[1]:
        masked_columns = trimmed_mean(scores, masked), trimmed_standard_error(scores, masked)
    columns = (mean(scores), standard_error(scores), *masked_columns)
    measured = dict(zip(_MEASURED, columns, strict=True))
    window = int(returns.index[0]) + 1  # updates
    table = pd.DataFrame(measured).rolling(max(1, averaged_over // window), min_periods=1).mean()
    same = {name: rows[name].iloc[0] for name in (*KEY, "averaged_over")}
    return table.assign(update=returns.index.to_numpy() + 1, **same)


def masked_means(ours: pd.DataFrame) -> pd.DataFrame:
    """Mean of our masked curves over what `published_means` averages of the published ones.

    Returns:
        Columns `KEY`, ours_masked_mean, ours_masked_standard_error; a row per masked curve.
    """
    masked = ours[ours["masked_mean"].notna()]
    end = masked.groupby(KEY)["update"].transform("max")
    start = np.minimum(0.9 * (end + masked["averaged_over"]), end - 1)  # short runs: the last one
    last = masked[masked["update"] > start]
    measured = last.groupby(KEY)[["masked_mean", "masked_standard_error"]].mean()
    return measured.add_prefix("ours_").reset_index()
