"""How likely a run of one estimator beats a run of another."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import GROUP
from bilevelrl.evaluation.statistics import (
    improvement_interval,
    mean,
    mean_difference_interval,
    probability_of_improvement,
)
from bilevelrl.runs.evaluate_block import EvaluateParams

IMPROVEMENT_COLUMNS = (
    "problem", "variant", "setting", "ours", "theirs", "probability", "low", "high",
    "mean_difference", "mean_difference_low", "mean_difference_high", "ours_seeds", "theirs_seeds",
)  # fmt: skip


def improvement_table(
    scores: pd.DataFrame, params: EvaluateParams, ours: str = "bc_hg"
) -> pd.DataFrame:
    """P(a run of `ours` ends higher than a run of another estimator), in every shared setting.

    Variants are compared with their own kind only, because J of `published` and `corrected` are
    not the same function. Estimators that sample nothing match every budget.

    Args:
        scores: from `run_scores`.
        params: `confidence` is used.
        ours: estimator on the left.

    Returns:
        Columns `IMPROVEMENT_COLUMNS`; above ½ in `low` means better, below ½ in `high` worse. The
        intervals are empty where a side has a single run.
    """
    groups = {tuple(map(str, group)): runs for group, runs in scores.groupby(GROUP)}
    rows = []
    for (problem, estimator, variant, setting), runs in groups.items():
        if estimator != ours:
            continue
        for (their_problem, theirs, their_variant, _), their_runs in groups.items():
            comparable = (their_problem, their_variant) == (problem, variant) and theirs != ours
            if comparable and _under_the_same_conditions(runs, their_runs):
                row = {"problem": problem, "variant": variant, "setting": setting, "theirs": theirs}
                rows.append({**row, "ours": ours, **_compare(runs, their_runs, params.confidence)})
    return pd.DataFrame(rows, columns=list(IMPROVEMENT_COLUMNS))


def _under_the_same_conditions(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    (own, budget), (other, their_budget) = (
        runs[["setting_without_budget", "budget"]].iloc[0] for runs in (ours, theirs)
    )
    return bool(own == other and their_budget in (budget, 0))


def _compare(our_runs: pd.DataFrame, their_runs: pd.DataFrame, level: float) -> dict[str, float]:
    ours, theirs = (runs["final"].to_numpy(dtype=np.float64) for runs in (our_runs, their_runs))
    low, high = improvement_interval(ours, theirs, level)
    lowest, highest = mean_difference_interval(ours, theirs, level)
    return {
        "probability": probability_of_improvement(ours, theirs),
        "low": low,
        "high": high,
        "mean_difference": float(mean(ours) - mean(theirs)),
        "mean_difference_low": lowest,
        "mean_difference_high": highest,
        "ours_seeds": len(ours),
        "theirs_seeds": len(theirs),
    }
