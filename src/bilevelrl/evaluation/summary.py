"""results/summary.csv, the contract with whoever reads the results, and its headlines."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.error_parts import PARTS
from bilevelrl.evaluation.conditions import FOLLOWER_STUDIES, GROUP, main_at_first_temperature
from bilevelrl.evaluation.reference import KEY
from bilevelrl.evaluation.run_scores import arrival_name, return_name, threshold_name
from bilevelrl.evaluation.statistics import (
    Statistic,
    interval,
    proportion_interval,
    standard_error,
    statistic_of,
)
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.records import SUMMARY_COLUMNS, RunIdentity

#: metric, value, low, high; NaN where an end has no meaning.
Row = tuple[str, float, float, float]
_NOTHING = float("nan")
#: From here on six digits have no decimals, and `dvc metrics show` would write an exponent.
_WHOLE = 1e5
FAILED_RUN_COLUMNS = (*GROUP, "seed", "reason")
#: Metrics of results/summary.csv and what they are called here.
_SHOWN = {
    "leader_return_mean": "mean",
    "leader_return_se": "se",
    "leader_return_final_worst": "worst",
    "failed_runs": "failed",
}


def summary_table(
    scores: pd.DataFrame, published: pd.DataFrame, params: EvaluateParams
) -> pd.DataFrame:
    """All metrics of all settings, one per row.

    `low` and `high` are those of intervals over seeds, empty where a metric has none, where there
    is one seed, and where all seeds end alike; shares of runs have Clopper and Pearson's interval,
    which one run has too. A failed run makes every statistic of its setting's returns empty;
    `failed_runs` counts it, and shares count it as a run that is not stuck and never arrives.

    Of scores from `run_scores` and published means from `reference.published_means`; columns
    `SUMMARY_COLUMNS`, sorted by all but the values.
    """
    rows = []
    for group, runs in scores.groupby(GROUP):
        for measure in _MEASURES:
            rows += [(*map(str, group), *row, len(runs)) for row in measure(runs, params)]
    table = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    table = pd.concat([table, _published_rows(scores, published)], ignore_index=True)
    numbers = dict.fromkeys(("value", "low", "high"), "float64")  # without published rows, too
    return table.astype(numbers).sort_values([*GROUP, "metric"], ignore_index=True)


def _return_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    final = runs["final"].to_numpy(dtype=np.float64)
    yield _over_runs("leader_return_mean", runs["final"], "mean", params)
    yield _plain("leader_return_se", float(standard_error(final)))
    yield _over_runs("leader_return_final_iqm", runs["final"], "iqm", params)
    yield _over_runs("leader_return_median", runs["final"], "median", params)
    yield _plain("leader_return_final_worst", float(final.min()))
    yield _plain("failed_runs", float((~np.isfinite(final)).sum()))
    yield _plain("leader_return_worst_seed", float(runs["last_optimal"].min(skipna=False)))
    if runs["unstable"].notna().all():
        yield _share("unstable_fraction", runs["unstable"].astype(bool), params)
    if runs["coupling_radius"].notna().all():
        yield _over_runs("coupling_radius", runs["coupling_radius"], "mean", params)
    if runs["charge_nothing_return"].notna().any():
        stuck = (runs["final"] - runs["charge_nothing_return"]).abs() <= params.stuck_radius
        yield _share("stuck_fraction", stuck, params)


def _way_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    """How far to the best known J, from where nothing is charged or from where prices are flat."""
    if runs["share_origin"].notna().all():
        origin = runs["share_origin"]
        way = runs["best_known"] - origin
        free = runs["charge_nothing_return"].notna().all()
        yield _plain("no_toll_return" if free else "flat_return", float(origin.iloc[0]))
        yield _over_runs("way_mean", (runs["final"] - origin) / way, "mean", params)
        last = (runs["last_optimal"] - origin) / way
        yield _plain("way_worst_seed", float(last.min(skipna=False)))


def _optimal_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    """J under the exact best response, where the follower may play something else."""
    inexact = runs["follower"].iloc[0] != "exact"
    optimal = runs["final_optimal"]
    if (inexact or _studies_followers(runs)) and optimal.notna().any():
        yield _over_runs("leader_return_optimal_mean", optimal, "mean", params)
        error = standard_error(optimal.to_numpy(dtype=np.float64))
        yield _plain("leader_return_optimal_se", float(error))
        yield _plain("leader_return_optimal_worst", float(optimal.min(skipna=False)))


def _played_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    """J as played, and what it cost, of leaders that recommend another θ than they play."""
    if runs["model"].iloc[0]:
        yield _over_runs("played_return_mean", runs["final_played"], "mean", params)
        yield _plain("played_return_worst_seed", float(runs["final_played"].min(skipna=False)))
        if runs["regret"].notna().any():
            yield _over_runs("cumulative_regret", runs["regret"], "mean", params)


def _sample_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    best = float(runs["best_known"].iloc[0])
    if not np.isnan(best):
        yield _plain("best_known", best)
    fractions = () if np.isnan(best) else params.thresholds
    levels = params.return_thresholds.get(str(runs["problem"].iloc[0]), ())
    for name in (*map(threshold_name, fractions), *map(return_name, levels)):
        steps = runs[name].to_numpy()
        yield _plain(name, median_env_steps(steps))
        yield _plain(f"{name}_worst", float(steps.max()))  # empty unless all arrived
        yield _share(arrival_name(name), runs[name].notna(), params)


def median_env_steps(env_steps: Floats) -> float:
    """Transitions after which at least half of the runs had arrived; NaN if fewer ever did.

    For an even number of runs this is the lower of the two middle values: averaging it with the
    upper one would be undefined when exactly half arrive.
    """
    ordered = np.sort(np.where(np.isnan(env_steps), np.inf, env_steps))
    middle = float(ordered[(len(ordered) - 1) // 2])
    return middle if np.isfinite(middle) else float("nan")


def _follower_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    yield _plain("follower_steps", runs["follower_steps"].mean())
    yield _over_runs("follower_kl", runs["final_kl"], "mean", params)
    yield _over_runs("follower_value_gap", runs["final_gap"], "mean", params)
    yield _over_runs("cosine_mean", runs["cosine"], "mean", params)
    if _studies_followers(runs):
        yield _plain("follower_accuracy_max", float(runs["accuracy_max"].max(skipna=False)))


def _error_metrics(runs: pd.DataFrame, params: EvaluateParams) -> Iterator[Row]:
    """What estimates miss, in parts, where a problem records them."""
    for name in PARTS:
        if runs[name].notna().any():
            yield _over_runs(name, runs[name], "mean", params)


#: What `summary_table` says of each setting.
_MEASURES = (
    _return_metrics, _way_metrics, _optimal_metrics, _played_metrics, _sample_metrics,
    _follower_metrics, _error_metrics,
)  # fmt: skip


def _studies_followers(runs: pd.DataFrame) -> bool:
    return runs["study"].iloc[0] in FOLLOWER_STUDIES


def _over_runs(metric: str, column: pd.Series, statistic: Statistic, params: EvaluateParams) -> Row:
    values = column.to_numpy(dtype=np.float64)
    low, high = interval(values, statistic, params.confidence)
    return metric, float(statistic_of(values, statistic)), float(low), float(high)


def _share(metric: str, happened: pd.Series, params: EvaluateParams) -> Row:
    low, high = proportion_interval(int(happened.sum()), len(happened), params.confidence)
    return metric, float(happened.mean()), low, high


def _plain(metric: str, value: float) -> Row:
    """A number without an interval."""
    return metric, value, _NOTHING, _NOTHING


def _published_rows(scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """One row per `published` setting of the main comparison that the paper's figures show."""
    own = scores[(scores["variant"] == "published") & (scores["study"] == "main")]
    settings = own.groupby([*GROUP, "temperature", "budget"]).size().reset_index(name="seeds")
    joined = settings.merge(published, on=KEY).rename(columns={"published_mean": "value"})
    joined = joined.assign(metric="published_mean", low=_NOTHING, high=_NOTHING)
    return joined[list(SUMMARY_COLUMNS)]


def headline_metrics(
    summary: pd.DataFrame, baselines: pd.DataFrame
) -> dict[str, dict[str, float | int]]:
    """Main comparison at the first temperature of each problem, one small table per setting.

    `dvc metrics show` prints a row per file and a column per key. With file names of 60 characters
    three numbers of six digits fit into 100 columns; results/summary.csv has the others.

    Returns:
        "<problem>/<estimator>-<variant>[-<case>][-<transitions per update>]" -> mean, se (its
        standard error), worst (seed), and failed (runs without a result) if any did; what is
        unknown is left out. Of a case, the first keys are named that tell it from the others.
    """
    metrics: dict[str, dict[str, float | int]] = {}
    rows = main_at_first_temperature(summary, baselines)
    short = {name: _short(own.unique()) for name, own in rows.groupby("problem")["case"]}
    for _, row in rows[rows["metric"].isin(list(_SHOWN))].iterrows():
        budget = f"-{row['budget']}" if row["budget"] else ""
        case = short[row["problem"]][row["case"]]
        name = f"{row['problem']}/{row['estimator']}-{row['variant']}{case}{budget}"
        known, key, value = metrics.setdefault(name, {}), _SHOWN[row["metric"]], row["value"]
        if key != "failed" and np.isfinite(value):
            number = float(f"{value:.6g}")
            known[key] = int(number) if abs(number) >= _WHOLE else number
        elif key == "failed" and value > 0:
            known[key] = int(value)
    return metrics


def _short(cases: Iterable[str]) -> dict[str, str]:
    """Each case by as few of its first keys as tell it from the others, "" if it is alone."""
    split = {case: case.split(";") for case in cases}
    most = max(map(len, split.values()))
    for number in range(most + 1):
        named = {case: "".join(f"-{pair}" for pair in own[:number]) for case, own in split.items()}
        if len({*named.values()}) == len(split):
            break
    return named


def failed_runs(runs: Iterable[RunIdentity]) -> pd.DataFrame:
    """Runs without a result and why; columns `FAILED_RUN_COLUMNS`."""
    rows = [
        (run.problem, run.estimator, run.variant, run.setting, run.seed, run.failure)
        for run in runs
        if run.failure
    ]
    return pd.DataFrame(rows, columns=list(FAILED_RUN_COLUMNS))
