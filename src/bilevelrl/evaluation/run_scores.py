"""One row of scores per run; everything that is compared later is computed from these rows."""

import pandas as pd

from bilevelrl.core.validation import shown
from bilevelrl.evaluation.conditions import CONDITION_COLUMNS, GROUP
from bilevelrl.evaluation.sample_efficiency import env_steps_to_threshold, share_of
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.records import COORDINATE_COLUMNS, is_late
from bilevelrl.runs.table_files import CorruptRecord


def threshold_name(fraction: float) -> str:
    """Name of the metric "transitions to `fraction` of the best known J"."""
    return f"env_steps_to_{shown(100.0 * fraction)}_percent"


def return_name(threshold: float) -> str:
    """Name of the metric "transitions to J of at least `threshold`"."""
    return f"env_steps_to_return_{shown(threshold)}"


def arrival_name(name: str) -> str:
    """Name of the metric "share of runs that ever got there", by that of the transitions to it."""
    return name.replace("env_steps_to", "fraction_at")


def run_scores(
    curves: pd.DataFrame,
    baselines: pd.DataFrame,
    params: EvaluateParams,
    coordinates: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Reduce learning curves to final values and sample costs.

    Args:
        curves: columns `CURVE_COLUMNS` and `CONDITION_COLUMNS`.
        baselines: columns `BASELINE_COLUMNS`.
        params: thresholds and final_fraction are used.
        coordinates: columns `COORDINATE_COLUMNS`; a spectral radius is looked at, which is the
            largest over the updates of its window.

    Returns:
        Columns `GROUP`, seed, `CONDITION_COLUMNS`, final (mean J over the last updates),
        final_optimal (the same under the exact best response), last_optimal (the same at the last
        recorded update), final_kl, final_gap, follower_steps (in all), cosine (mean over updates),
        accuracy_max, best_known, charge_nothing_return, unstable (whether the closed loop was at
        some update, NaN where there is none), and `threshold_name` and `return_name` of each
        threshold.

    Raises:
        CorruptRecord: if a setting has no baseline.
    """
    facts = _baseline_of_each_row(curves, baselines)
    key = [*GROUP, "seed"]
    updates = curves.groupby(key)["update"].transform("max") + 1
    last = curves[is_late(curves["update"], updates, params.final_fraction)].groupby(key)
    closing = curves.loc[curves.groupby(key)["update"].idxmax()].set_index(key)
    columns = {
        # A diverged run must show, hence no skipping of NaN.
        "final": last["leader_return_mean"].mean(skipna=False),
        "final_optimal": last["leader_return_optimal"].mean(skipna=False),
        "last_optimal": closing["leader_return_optimal"],
        "final_kl": last["follower_kl"].mean(skipna=False),
        "final_gap": last["follower_value_gap"].mean(skipna=False),
        "follower_steps": curves.groupby(key)["follower_steps"].max(),
        "cosine": curves.groupby(key)["cosine"].mean(skipna=False),
        "accuracy_max": curves.groupby(key)["follower_accuracy"].max(skipna=False),
    }
    if coordinates is None:
        coordinates = pd.DataFrame(columns=list(COORDINATE_COLUMNS))
    radius = coordinates[coordinates["coordinate"] == "spectral_radius"]
    largest = radius.groupby(key)["value"].max(skipna=False)
    columns["unstable"] = (largest > 1.0).where(largest.notna())
    for name in ("best_known", "charge_nothing_return"):
        columns[name] = facts[name].groupby([curves[k] for k in key]).first()
    for fraction in params.thresholds:
        threshold = share_of(facts["best_known"], fraction)
        columns[threshold_name(fraction)] = env_steps_to_threshold(curves, threshold)
    for value in params.return_thresholds.get(str(curves["problem"].iloc[0]), ()):
        level = pd.Series(value, index=curves.index)
        columns[return_name(value)] = env_steps_to_threshold(curves, level)
    scores = pd.DataFrame(columns).reset_index()
    return scores.merge(curves[[*GROUP, *CONDITION_COLUMNS]].drop_duplicates(GROUP), on=GROUP)


def _baseline_of_each_row(curves: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    groups = curves[[*GROUP, "temperature"]].drop_duplicates(GROUP)
    joined = groups.merge(
        baselines, on=["problem", "variant", "temperature"], how="left", indicator=True
    )
    missing = joined[joined["_merge"] == "left_only"]
    if len(missing):
        first = missing.iloc[0]
        raise CorruptRecord(
            f"no best known return of {first['problem']} for variant {first['variant']} at "
            f"temperature {first['temperature']:g}; the environments stage knows "
            f"{baselines[['problem', 'variant', 'temperature']].to_dict('records')}"
        )
    return curves[GROUP].merge(joined, on=GROUP, how="left").set_axis(curves.index)
