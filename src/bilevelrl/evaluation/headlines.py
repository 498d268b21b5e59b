"""The few numbers that `dvc metrics` shows, and the runs that have none."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import GROUP, main_at_first_temperature
from bilevelrl.runs.records import RunIdentity

FAILED_RUN_COLUMNS = (*GROUP, "seed", "reason")
#: Metrics of results/summary.csv and what they are called here.
_SHOWN = {
    "leader_return_mean": "mean",
    "leader_return_se": "standard_error",
    "leader_return_final_worst": "worst",
    "failed_runs": "failed",
    "stuck_fraction": "stuck",
    "unstable_fraction": "unstable",
    "best_known": "best_known",
}


def headline_metrics(
    summary: pd.DataFrame, baselines: pd.DataFrame
) -> dict[str, dict[str, float | int]]:
    """Main comparison at the first temperature of each problem, one small table per setting.

    `dvc metrics show` prints a row per file and a column per key, hence few keys and one file each.

    Args:
        summary: columns `SUMMARY_COLUMNS` and `CONDITION_COLUMNS`.
        baselines: see `main_at_first_temperature`.

    Returns:
        "<problem>/<estimator>-<variant>[-<transitions per update>]" -> mean, standard_error, worst
        (seed), failed (runs without a result), seeds, stuck and unstable (shares), best_known; what
        is unknown is left out.
    """
    metrics: dict[str, dict[str, float | int]] = {}
    rows = main_at_first_temperature(summary, baselines)
    for _, row in rows[rows["metric"].isin(list(_SHOWN))].iterrows():
        budget = f"-{row['budget']}" if row["budget"] else ""
        name = f"{row['problem']}/{row['estimator']}-{row['variant']}{budget}"
        known = metrics.setdefault(name, {"seeds": int(row["seeds"])})
        if np.isfinite(row["value"]):
            key = _SHOWN[row["metric"]]
            known[key] = int(row["value"]) if key == "failed" else round(float(row["value"]), 6)
    return metrics


def failed_runs(runs: Iterable[RunIdentity]) -> pd.DataFrame:
    """Runs without a result and why; columns `FAILED_RUN_COLUMNS`."""
    rows = [
        (run.problem, run.estimator, run.variant, run.setting, run.seed, run.failure)
        for run in runs
        if run.failure
    ]
    return pd.DataFrame(rows, columns=list(FAILED_RUN_COLUMNS))
