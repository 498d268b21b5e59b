"""results/summary.csv: the contract with whoever reads the results."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.config import EvaluateParams
from bilevelrl.evaluation.conditions import FOLLOWER_STUDIES, GROUP, study_of, with_conditions
from bilevelrl.evaluation.run_scores import return_name, threshold_name
from bilevelrl.evaluation.sample_efficiency import median_env_steps
from bilevelrl.evaluation.statistics import (
    iqm,
    mean,
    median,
    named_generator,
    standard_error,
    stratified_bootstrap,
    wilson_interval,
)
from bilevelrl.records import SUMMARY_COLUMNS

Floats = NDArray[np.float64]
#: metric, value, low, high; NaN where an end has no meaning.
Row = tuple[str, float, float, float]
_NOTHING = float("nan")


def summary_table(
    scores: pd.DataFrame, published: pd.DataFrame, params: EvaluateParams
) -> pd.DataFrame:
    """All metrics of all settings, one per row.

    Args:
        scores: from `run_scores`.
        published: from `reference.published_means`.
        params: of the statistics.

    Returns:
        Columns `SUMMARY_COLUMNS`, sorted by all but the values.
    """
    rows = []
    for group, runs in scores.groupby(GROUP):
        identity = dict(zip(GROUP, map(str, group), strict=True))
        metrics = [
            *_return_metrics(runs, params, list(identity.values())),
            *_sample_metrics(runs, params),
            *_follower_metrics(runs, params, list(identity.values())),
        ]
        rows += [
            {
                **identity,
                "metric": metric,
                "value": value,
                "low": low,
                "high": high,
                "seeds": len(runs),
            }
            for metric, value, low, high in metrics
        ]
    table = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    table = pd.concat([table, _published_rows(table, published)], ignore_index=True)
    numbers = dict.fromkeys(("value", "low", "high"), "float64")  # without published rows, too
    return table.astype(numbers).sort_values([*GROUP, "metric"], ignore_index=True)


def _return_metrics(runs: pd.DataFrame, params: EvaluateParams, names: list[str]) -> Iterator[Row]:
    final = _scores(runs["final"])
    yield "leader_return_mean", float(mean(final)), *_interval(mean, final, params, names, "mean")
    yield "leader_return_se", float(standard_error(final)), _NOTHING, _NOTHING
    yield "leader_return_final_iqm", float(iqm(final)), *_interval(iqm, final, params, names, "iqm")
    middle = _interval(median, final, params, names, "median")
    yield "leader_return_median", float(median(final)), *middle
    yield (
        "leader_return_worst_seed",
        float(runs["last_optimal"].min(skipna=False)),
        _NOTHING,
        _NOTHING,
    )
    if runs["unstable"].notna().all():
        unstable = runs["unstable"].astype(bool)
        low, high = wilson_interval(int(unstable.sum()), len(runs), params.confidence)
        yield "unstable_fraction", float(unstable.mean()), low, high
    if runs["charge_nothing_return"].isna().all():
        return
    stuck = (runs["final"] - runs["charge_nothing_return"]).abs() <= params.stuck_radius
    low, high = wilson_interval(int(stuck.sum()), len(runs), params.confidence)
    yield "stuck_fraction", float(stuck.mean()), low, high


def _sample_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    best = float(runs["best_known"].iloc[0])
    if not np.isnan(best):
        yield "best_known", best, _NOTHING, _NOTHING
    for fraction in () if np.isnan(best) else params.thresholds:
        name = threshold_name(fraction)
        yield name, median_env_steps(runs[name].to_numpy()), _NOTHING, _NOTHING
    for threshold in params.return_thresholds.get(str(runs["problem"].iloc[0]), ()):
        name = return_name(threshold)
        yield name, median_env_steps(runs[name].to_numpy()), _NOTHING, _NOTHING


def _follower_metrics(
    runs: pd.DataFrame, params: EvaluateParams, names: list[str]
) -> Iterator[Row]:
    yield "follower_steps", float(runs["follower_steps"].median()), _NOTHING, _NOTHING
    studied = study_of(str(runs["setting"].iloc[0])) in FOLLOWER_STUDIES
    for metric, column, always in (
        ("follower_kl", "final_kl", True),
        ("follower_value_gap", "final_gap", True),
        ("leader_return_optimal_mean", "final_optimal", False),
        ("cosine_mean", "cosine", True),
    ):
        if always or studied:
            values = _scores(runs[column])
            yield metric, float(mean(values)), *_interval(mean, values, params, names, metric)
    if studied:
        yield "follower_accuracy_max", float(runs["accuracy_max"].max()), _NOTHING, _NOTHING


def _scores(column: pd.Series) -> Floats:
    return column.to_numpy(dtype=np.float64)[:, None]


def _interval(
    statistic: Callable[..., Floats],
    values: Floats,
    params: EvaluateParams,
    names: list[str],
    metric: str,
) -> tuple[float, float]:
    low, high = stratified_bootstrap(
        statistic,
        values,
        generator=named_generator(params.seed, metric, *names),
        replicates=params.replicates,
        confidence=params.confidence,
    )
    return float(low), float(high)


def _published_rows(table: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """One row per `published` setting of the main comparison that the paper's figures show."""
    settings = with_conditions(
        table[table["variant"] == "published"][[*GROUP, "seeds"]].drop_duplicates()
    )
    settings = settings[settings["study"] == "main"]
    joined = settings.merge(published, on=["problem", "estimator", "temperature", "budget"])
    joined = joined.assign(
        metric="published_mean", value=joined["published_mean"], low=_NOTHING, high=_NOTHING
    )
    return joined[list(SUMMARY_COLUMNS)]


def headline_metrics(
    summary: pd.DataFrame, baselines: pd.DataFrame, failures: dict[str, str] | None = None
) -> dict[str, Any]:
    """The few numbers that `dvc metrics` shows: main comparison, first temperature of each problem.

    Args:
        summary: columns `SUMMARY_COLUMNS`.
        baselines: columns `BASELINE_COLUMNS`, in the order of params.yaml.
        failures: run to why it has no result.

    Returns:
        problem -> estimator -> variant -> "budget_<B>" (left out for estimators that sample
        nothing) -> "leader_return_mean", and problem -> "best_known" -> variant. Finite only.
        "failed_runs" -> run -> why, if there are any.
    """
    metrics: dict[str, Any] = {"failed_runs": failures} if failures else {}
    first = baselines.drop_duplicates("problem").set_index("problem")["temperature"]
    shown = baselines[baselines["temperature"] == baselines["problem"].map(first)]
    for problem, variant, best in shown[["problem", "variant", "best_known"]].to_numpy():
        known = metrics.setdefault(problem, {})
        if not np.isnan(best):
            known.setdefault("best_known", {})[variant] = round(float(best), 6)
    rows = with_conditions(summary[summary["metric"] == "leader_return_mean"])
    rows = rows[(rows["study"] == "main") & (rows["temperature"] == rows["problem"].map(first))]
    for _, row in rows[np.isfinite(rows["value"])].iterrows():
        place = metrics[row["problem"]].setdefault(row["estimator"], {})
        place = place.setdefault(row["variant"], {})
        if row["budget"]:
            place = place.setdefault(f"budget_{row['budget']}", {})
        place["leader_return_mean"] = round(float(row["value"]), 6)
    return metrics
