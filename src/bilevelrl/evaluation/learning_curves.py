"""Learning curves over seeds: interquartile mean with interval, and mean ± standard error."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import CONDITION_COLUMNS, GROUP
from bilevelrl.evaluation.statistics import interval, iqm, mean, standard_error
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.table_files import CorruptRecord

#: Studies whose curves are drawn; those of others end as points.
DRAWN = ("main", "learning_follower", "information")
LEARNING_CURVE_COLUMNS: dict[str, str] = {
    "problem": "string",
    "estimator": "string",
    "variant": "string",
    "setting": "string",
    **CONDITION_COLUMNS,
    "update": "int64",  # last of its window
    "env_steps": "int64",
    "follower_steps": "int64",
    "iqm": "float64",
    "low": "float64",
    "high": "float64",
    "mean": "float64",
    "standard_error": "float64",
    "worst": "float64",  # the seed that is lowest here
    "failed": "int64",  # seeds without a finite return here
    "seeds": "int64",
}


def learning_curves(
    curves: pd.DataFrame, params: EvaluateParams, num_points: int = 100
) -> pd.DataFrame:
    """Statistics over seeds at no more than `num_points` windows of each curve that is drawn.

    Those are the main comparison's and those of the studies in `DRAWN`.

    Every run is first averaged within the window, so that nothing is dropped; with 10,000 updates
    a window is 100 updates long, which is also how the published curves are smoothed.

    Args:
        curves: columns `CURVE_COLUMNS` and `CONDITION_COLUMNS`.
        params: `confidence` is used.
        num_points: windows per curve.

    Returns:
        Columns `LEARNING_CURVE_COLUMNS`; low, high and standard_error are NaN for a single seed.
    """
    drawn = curves[curves["study"].isin(DRAWN)]
    same = [*GROUP, *CONDITION_COLUMNS]
    tables = [
        _one_curve(rows, params, num_points).assign(**rows[same].iloc[0])
        for _, rows in drawn.groupby(GROUP)
    ]
    if not tables:
        return pd.DataFrame(columns=list(LEARNING_CURVE_COLUMNS)).astype(LEARNING_CURVE_COLUMNS)
    stacked = pd.concat(tables, ignore_index=True)
    return stacked[list(LEARNING_CURVE_COLUMNS)].astype(LEARNING_CURVE_COLUMNS)


def tracked_curves(curves: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """What git tracks and `dvc plots` shows: first temperature of each problem, five decimals.

    Args:
        curves: columns `LEARNING_CURVE_COLUMNS`.
        baselines: columns `BASELINE_COLUMNS`, in the order of params.yaml.
    """
    first = baselines.drop_duplicates("problem").set_index("problem")["temperature"]
    shown = curves[curves["temperature"] == curves["problem"].map(first).astype(float)]
    shown = shown[shown["study"] == "main"]
    hidden = {"setting", "follower_steps", *CONDITION_COLUMNS} - {"budget"}
    return shown.drop(columns=sorted(hidden)).round(5)


def plotted(tracked: pd.DataFrame, budget: int) -> pd.DataFrame:
    """IQM against update of every estimator and variant, as `dvc plots` wants it.

    Args:
        tracked: what `tracked_curves` returns, of one problem.
        budget: sample budget to show; estimators that sample nothing are always shown.

    Returns:
        Columns update, estimator (with its variant), leader_return.
    """
    shown = tracked[tracked["budget"].isin([0, budget])]
    estimator = shown["estimator"] + "_" + shown["variant"]
    found = pd.DataFrame(
        {"update": shown["update"], "estimator": estimator, "leader_return": shown["iqm"]}
    )
    return found.sort_values(["estimator", "update"], ignore_index=True)


def _one_curve(rows: pd.DataFrame, params: EvaluateParams, num_points: int) -> pd.DataFrame:
    name = [str(rows[key].iloc[0]) for key in GROUP]
    returns = rows.pivot(index="update", columns="seed", values="leader_return_mean")
    if returns.size != len(rows):
        raise CorruptRecord(f"runs of {'/'.join(name)} recorded different updates")
    steps = rows.groupby("update")[["env_steps", "follower_steps"]].max()
    starts = np.arange(0, len(returns), -(-len(returns) // num_points))
    lengths = np.diff([*starts, len(returns)])
    ends = starts + lengths - 1
    points = np.add.reduceat(returns.to_numpy(), starts, axis=0) / lengths[:, None]
    low, high = interval(points, "iqm", params.confidence)
    return pd.DataFrame(
        {
            "update": returns.index.to_numpy()[ends],
            "env_steps": steps["env_steps"].to_numpy()[ends],
            "follower_steps": steps["follower_steps"].to_numpy()[ends],
            "iqm": iqm(points),
            "low": low,
            "high": high,
            "mean": mean(points),
            "standard_error": standard_error(points),
            "worst": points.min(axis=1),
            "failed": (~np.isfinite(points)).sum(axis=1),
            "seeds": points.shape[1],
        }
    )
