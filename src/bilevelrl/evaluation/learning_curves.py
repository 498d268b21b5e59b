"""Learning curves over seeds: interquartile mean with interval, and mean ± standard error."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import (
    CONDITION_COLUMNS,
    GROUP,
    main_at_first_temperature,
    typed,
    with_conditions,
)
from bilevelrl.evaluation.statistics import interval, iqm, mean, standard_error
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.records import COORDINATE_COLUMNS, Cell
from bilevelrl.runs.table_files import CorruptRecord

#: Studies whose curves are drawn; those of others end as points.
DRAWN = ("main", "learning_follower", "information", "identified")
LEARNING_CURVE_COLUMNS: dict[str, str] = {
    **dict.fromkeys(GROUP, "string"),
    **CONDITION_COLUMNS,
    "update": "int64",  # last of its window
    "env_steps": "int64",
    "follower_steps": "int64",
    **dict.fromkeys(("iqm", "low", "high", "mean", "standard_error"), "float64"),
    "worst": "float64",  # the seed that is lowest here
    "failed": "int64",  # seeds without a finite return here
    "seeds": "int64",
}
TRAJECTORY_COLUMNS: dict[str, str] = (
    COORDINATE_COLUMNS | CONDITION_COLUMNS | {"leader_return": "float64"}
)


def learning_curves(
    curves: pd.DataFrame, params: EvaluateParams, num_points: int = 100
) -> pd.DataFrame:
    """Statistics over seeds at no more than `num_points` windows of each curve of `DRAWN`.

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
    tables = (
        _one_curve(rows, params, num_points).assign(**rows[same].iloc[0])
        for _, rows in drawn.groupby(GROUP)
    )
    return typed(tables, LEARNING_CURVE_COLUMNS)


def tracked_curves(curves: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """What git tracks and `dvc plots` shows: see `main_at_first_temperature`; five decimals."""
    hidden = {"setting", "follower_steps", *CONDITION_COLUMNS} - {"case", "budget"}
    shown = main_at_first_temperature(curves, baselines)
    return shown.drop(columns=sorted(hidden)).round(5)


def plotted(tracked: pd.DataFrame, budget: int) -> pd.DataFrame:
    """IQM against update of every estimator and variant, as `dvc plots` wants it.

    Args:
        tracked: from `tracked_curves`, of one problem.
        budget: to show; estimators that sample nothing are shown in its cases.

    Returns:
        Columns update, estimator (with its variant, and its case where several are shown),
        leader_return.
    """
    cases = tracked.loc[tracked["budget"] == budget, "case"].unique()
    alike = tracked["budget"].isin([0, budget]) & tracked["case"].isin(cases)
    shown = tracked[alike].rename(columns={"iqm": "leader_return"})
    shown["estimator"] += "_" + shown["variant"]
    if len(cases) > 1:
        shown["estimator"] += "_" + shown["case"]
    columns = ["update", "estimator", "leader_return"]
    return shown[columns].sort_values(["estimator", "update"], ignore_index=True)


def main_trajectories(cell: Cell, conditions: pd.DataFrame) -> pd.DataFrame:
    """Coordinates and J at the best response of every recorded update of the main comparison.

    At the best response even where the follower played something else: that is the J whose
    landscape the trajectories are drawn on.

    Args:
        cell: of a problem that depends on a few numbers only, or one without coordinates.
        conditions: from `conditions_of`, of its runs.

    Returns:
        Columns `TRAJECTORY_COLUMNS`.
    """
    key = [*GROUP, "seed", "update"]
    places = with_conditions(cell.coordinates, conditions)
    returns = cell.curves[key].assign(leader_return=cell.curves["leader_return_optimal"])
    return typed([places[places["study"] == "main"].merge(returns, on=key)], TRAJECTORY_COLUMNS)


def _one_curve(rows: pd.DataFrame, params: EvaluateParams, num_points: int) -> pd.DataFrame:
    returns = rows.pivot(index="update", columns="seed", values="leader_return_mean")
    if returns.size != len(rows):
        name = "/".join(map(str, rows[GROUP].iloc[0]))
        raise CorruptRecord(f"runs of {name} recorded different updates")
    steps = rows.groupby("update")[["env_steps", "follower_steps"]].max().reset_index()
    starts = np.arange(0, len(returns), -(-len(returns) // num_points))
    lengths = np.diff([*starts, len(returns)])
    ends = starts + lengths - 1
    points = np.add.reduceat(returns.to_numpy(), starts, axis=0) / lengths[:, None]
    low, high = interval(points, "iqm", params.confidence)
    return steps.iloc[ends].assign(
        iqm=iqm(points),
        low=low,
        high=high,
        mean=mean(points),
        standard_error=standard_error(points),
        worst=points.min(axis=1),
        failed=(~np.isfinite(points)).sum(axis=1),
        seeds=points.shape[1],
    )
