"""How likely a run of one estimator beats a run of another."""

from itertools import product

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.evaluation.conditions import GROUP
from bilevelrl.evaluation.statistics import (
    detectable_difference,
    improvement_interval,
    interval,
    mean,
    mean_difference_interval,
    probability_of_improvement,
)
from bilevelrl.runs.evaluate_block import EvaluateParams

IMPROVEMENT_COLUMNS = (
    "problem", "variant", "setting", "ours", "ours_model", "theirs", "theirs_model",
    "probability", "low", "high",
    "mean_difference", "mean_difference_low", "mean_difference_high", "ours_seeds", "theirs_seeds",
    "paired_difference", "paired_difference_low", "paired_difference_high", "paired_seeds",
    "detectable_difference",
    "optimal_difference", "optimal_difference_low", "optimal_difference_high", "optimal_seeds",
)  # fmt: skip
_NOTHING = float("nan")


def improvement_table(
    scores: pd.DataFrame, params: EvaluateParams, ours: str = "bc_hg"
) -> pd.DataFrame:
    """P(a run of `ours` ends higher than a run of another estimator), in every shared setting.

    Variants are compared with their own kind only, because J of `published` and `corrected` are
    not the same function. Estimators that sample nothing match every budget, and one of ours that
    identifies its model those that do not, too; `ours_model` and `theirs_model` tell.

    Returns:
        Columns `IMPROVEMENT_COLUMNS`; above ½ in `low` means better, below ½ in `high` worse. The
        intervals are empty where a side has a single run. `mean_difference` has Welch's interval;
        `paired_difference` is that of runs with the same seed, which begin alike, and has Student's
        of these differences; `detectable_difference` is the one that would be found, if there was
        one, with the probability `power` of params.yaml. `optimal_difference` is the paired one in
        J under the best response, empty where that is not known.
    """
    groups = {tuple(map(str, group)): runs for group, runs in scores.groupby(GROUP)}
    rows = []
    for (own, runs), (other, their_runs) in product(groups.items(), groups.items()):
        problem, estimator, variant, setting = own
        their_problem, theirs, their_variant, _ = other
        alike = (their_problem, their_variant) == (problem, variant)
        if alike and estimator == ours != theirs and _under_the_same_conditions(runs, their_runs):
            compared = _compare(runs, their_runs, params)
            model, their_model = (str(each["model"].iloc[0]) for each in (runs, their_runs))
            names = ours, model, theirs, their_model
            rows.append((problem, variant, setting, *names, *compared))
    return pd.DataFrame(rows, columns=list(IMPROVEMENT_COLUMNS))


def _under_the_same_conditions(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    (own, model, budget), (other, their_model, their_budget) = (
        runs[["setting_without_budget", "model", "budget"]].iloc[0] for runs in (ours, theirs)
    )
    if model and not their_model:
        own, other = _whatever_the_model(own), _whatever_the_model(other)
    return bool(own == other and their_budget in (budget, 0))


def _whatever_the_model(setting: str) -> str:
    parts = setting.split(";")
    return ";".join(part for part in parts if not part.startswith(("model=", "study=")))


def _compare(
    our_runs: pd.DataFrame, their_runs: pd.DataFrame, params: EvaluateParams
) -> tuple[float, ...]:
    level = params.confidence
    ours, theirs = (runs["final"].to_numpy(dtype=np.float64) for runs in (our_runs, their_runs))
    return (
        probability_of_improvement(ours, theirs), *improvement_interval(ours, theirs, level),
        float(mean(ours) - mean(theirs)), *mean_difference_interval(ours, theirs, level),
        len(ours), len(theirs), *_paired(our_runs, their_runs, params),
        *_optimal(our_runs, their_runs, params),
    )  # fmt: skip


def _paired(
    our_runs: pd.DataFrame, their_runs: pd.DataFrame, params: EvaluateParams
) -> tuple[float, float, float, int, float]:
    difference = _differences(our_runs, their_runs, "final")
    if not len(difference):
        return _NOTHING, _NOTHING, _NOTHING, 0, _NOTHING
    found = detectable_difference(difference, params.confidence, params.power)
    return *_with_interval(difference, params), len(difference), found


def _optimal(
    our_runs: pd.DataFrame, their_runs: pd.DataFrame, params: EvaluateParams
) -> tuple[float, float, float, int]:
    difference = _differences(our_runs, their_runs, "final_optimal")
    if not len(difference) or np.isnan(difference).all():
        return _NOTHING, _NOTHING, _NOTHING, 0
    return *_with_interval(difference, params), len(difference)


def _differences(our_runs: pd.DataFrame, their_runs: pd.DataFrame, score: str) -> Floats:
    """Of runs with the same seed, shape (N,)."""
    both = our_runs.merge(their_runs, on="seed", suffixes=("_ours", "_theirs"))
    return (both[f"{score}_ours"] - both[f"{score}_theirs"]).to_numpy(dtype=np.float64)


def _with_interval(difference: Floats, params: EvaluateParams) -> tuple[float, float, float]:
    low, high = interval(difference, "mean", params.confidence)
    return float(mean(difference)), float(low), float(high)
