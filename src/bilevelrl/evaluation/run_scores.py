"""One row of scores per run, from which everything is computed later; and where ascents end."""

import numpy as np
import pandas as pd

from bilevelrl.core.error_parts import PARTS, SQUARE
from bilevelrl.core.validation import shown
from bilevelrl.evaluation.conditions import CONDITION_COLUMNS, GROUP
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.records import is_late
from bilevelrl.runs.table_files import CorruptRecord

_RUN = [*GROUP, "seed"]
_START = ["problem", "variant", "temperature"]
_BASELINE = [*_START, "case"]
_TRUTH = ("leader_return_optimal", "cosine", "follower_kl", "follower_value_gap")
_RETURNS = {"median": "median", "best": "max", "mean": "mean", "worst": "min"}


def threshold_name(fraction: float) -> str:
    """Name of the metric "transitions to `fraction` of the best known J"."""
    return f"env_steps_to_{shown(100.0 * fraction)}_percent"


def return_name(threshold: float) -> str:
    """Name of the metric "transitions to J of at least `threshold`"."""
    return f"env_steps_to_return_{shown(threshold)}"


def arrival_name(name: str) -> str:
    """Name of the metric "share of runs that ever got there", by that of the transitions to it."""
    return name.replace("env_steps_to", "fraction_at")


def share_of(best: pd.Series, fraction: float, origin: pd.Series) -> pd.Series:
    """The J that counts as a share in (0, 1] of the best known one.

    It is that share of the way from `origin` to the best. Without one, NaN, it is a share of the
    best itself; where J is a loss, 95 % allow a loss that is larger by 1 / 0.95.
    """
    own = (best * fraction).where(best > 0.0, best / fraction)
    return (origin + fraction * (best - origin)).where(origin.notna(), own)


def env_steps_to_threshold(curves: pd.DataFrame, threshold: pd.Series | float) -> pd.Series:
    """Transitions that each run consumed before its return first reached a threshold.

    Args:
        curves: columns `CURVE_COLUMNS`, in any order of rows.
        threshold: one, or of each row of `curves`, aligned with it.

    Returns:
        env_steps, NaN for a run that never got there; indexed by `GROUP` and seed.
    """
    reached = curves["env_steps"].where(curves["leader_return_mean"] >= threshold)
    return reached.groupby([curves[key] for key in _RUN]).min()


def _asked(curves: pd.DataFrame) -> pd.Series:
    """Rows but those in which nobody asked for the ground truth, which a problem may find dear.

    Where J itself is unknown, a run diverged: that must show.
    """
    known = curves[list(_TRUTH)].notna().any(axis=1)
    return known | curves["leader_return_mean"].isna()


def _regret(curves: pd.DataFrame, best: pd.Series) -> pd.Series:
    """What a run lost by what it played, in transitions at the best known J: Σ_k (J* - J_k) / |J*|.

    All windows are of as many updates, and all updates of as many transitions.
    """
    share = (best - curves["played_return_mean"]) / best.abs()
    lost = share.groupby([curves[key] for key in _RUN])
    runs = curves.groupby(_RUN)
    per_update = runs["env_steps"].max() / runs["update"].max()
    return lost.mean(skipna=False) * per_update * (runs["update"].max() + 1)


def run_scores(
    curves: pd.DataFrame, baselines: pd.DataFrame, params: EvaluateParams, coordinates: pd.DataFrame
) -> pd.DataFrame:
    """Reduce learning curves to final values and sample costs.

    Args:
        curves: columns `CURVE_COLUMNS` and `CONDITION_COLUMNS`.
        baselines: columns `BASELINE_COLUMNS`.
        params: thresholds and final_fraction are used.
        coordinates: columns `COORDINATE_COLUMNS`; spectral radii are looked at, of the closed loop
            and of the coupling of several players, the largest one of a run, and `error_parts`.

    Returns:
        Columns `GROUP`, seed, `CONDITION_COLUMNS`, final (mean J over the last updates),
        final_optimal (the same under the exact best response), last_optimal (the same at the last
        recorded update), final_played (as final, of the θ that was played), regret (see `_regret`),
        final_kl, final_gap, follower_steps (in all), cosine (mean over updates), accuracy_max,
        best_known, charge_nothing_return, share_origin, unstable (whether the closed loop was at
        some update, NaN where there is none), coupling_radius (NaN where nothing is coupled),
        `error_parts` (sums over recorded updates, as shares of that of |dJ/dθ|², NaN where nobody
        recorded them), and `threshold_name` and `return_name` of each threshold.

    Raises:
        CorruptRecord: if a setting has no baseline.
    """
    facts = _baseline_of_each_row(curves, baselines)
    runs = curves.groupby(_RUN)
    updates = runs["update"].transform("max") + 1
    last = curves[is_late(curves["update"], updates, params.final_fraction)].groupby(_RUN)
    closing = curves.loc[runs["update"].idxmax()].set_index(_RUN)
    asked = curves[_asked(curves)]
    truth = asked.groupby(_RUN)
    late = is_late(asked["update"], updates[asked.index], params.final_fraction)
    last_truth = asked[late].groupby(_RUN)
    largest = _largest(coordinates, "spectral_radius")
    columns = {
        # A diverged run must show, hence no skipping of NaN.
        "final": last["leader_return_mean"].mean(skipna=False),
        "final_optimal": last_truth["leader_return_optimal"].mean(skipna=False),
        "last_optimal": closing["leader_return_optimal"],
        "final_played": last["played_return_mean"].mean(skipna=False),
        "regret": _regret(curves, facts["best_known"]),
        "final_kl": last_truth["follower_kl"].mean(skipna=False),
        "final_gap": last_truth["follower_value_gap"].mean(skipna=False),
        "follower_steps": runs["follower_steps"].max(),
        "cosine": truth["cosine"].mean(skipna=False),
        "accuracy_max": runs["follower_accuracy"].max(skipna=False),
        "unstable": (largest > 1.0).where(largest.notna()),
        "coupling_radius": _largest(coordinates, "coupling_radius"),
        **_error_shares(coordinates),
    }
    for name in ("best_known", "charge_nothing_return", "share_origin"):
        columns[name] = facts[name].groupby([curves[k] for k in _RUN]).first()
    for fraction in params.thresholds:
        threshold = share_of(facts["best_known"], fraction, facts["share_origin"])
        columns[threshold_name(fraction)] = env_steps_to_threshold(curves, threshold)
    for value in params.return_thresholds.get(str(curves["problem"].iloc[0]), ()):
        columns[return_name(value)] = env_steps_to_threshold(curves, value)
    scores = pd.DataFrame(columns).reset_index()
    return scores.merge(curves[[*GROUP, *CONDITION_COLUMNS]].drop_duplicates(GROUP), on=GROUP)


def _largest(coordinates: pd.DataFrame, name: str) -> pd.Series:
    own = coordinates[coordinates["coordinate"] == name]
    return own.groupby(_RUN)["value"].max(skipna=False)


def _error_shares(coordinates: pd.DataFrame) -> dict[str, pd.Series]:
    total = {
        name: coordinates[coordinates["coordinate"] == name].groupby(_RUN)["value"].sum()
        for name in (*PARTS, SQUARE)
    }
    return {name: total[name] / total[SQUARE] for name in PARTS}


def _baseline_of_each_row(curves: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    groups = curves[[*GROUP, "temperature", "case"]].drop_duplicates(GROUP)
    joined = groups.merge(baselines, on=_BASELINE, how="left", indicator=True)
    for missing in joined[joined["_merge"] == "left_only"].to_dict("records"):
        raise CorruptRecord(
            f"no best known return of {missing['problem']} for variant {missing['variant']} at "
            f"temperature {missing['temperature']:g}"
            f"{' in case ' + missing['case'] if missing['case'] else ''}; "
            f"the environments stage knows "
            f"{baselines[_BASELINE].to_dict('records')}"
        )
    return curves[GROUP].merge(joined, on=GROUP, how="left").set_axis(curves.index)


def start_table(
    starts: pd.DataFrame, baselines: pd.DataFrame, params: EvaluateParams
) -> pd.DataFrame:
    """Summarise the search for the best known J, columns `START_COLUMNS`, by kind of start.

    Starts of a problem with several J are those of the first one.

    Returns:
        One row per problem, variant, temperature and kind: number of starts, fraction that ended
        stuck, fraction that reached each threshold, starts without a finite J (`failed`), and
        median, best, mean and worst of the others' J.
    """
    first = baselines.drop_duplicates(_START).drop(columns="case")
    known = starts.merge(first, on=_START, validate="many_to_one")
    distance = (known["leader_return"] - known["charge_nothing_return"]).abs()
    columns = {"stuck_fraction": distance <= params.stuck_radius}
    for fraction in params.thresholds:
        level = share_of(known["best_known"], fraction, known["share_origin"])
        columns[arrival_name(threshold_name(fraction))] = known["leader_return"] >= level
    returns = known["leader_return"].replace([np.inf, -np.inf], np.nan)
    groups = known.assign(**columns, finite_return=returns).groupby([*_START, "kind"])
    table = groups[list(columns)].mean()
    table.insert(0, "starts", groups.size())
    for name, statistic in _RETURNS.items():
        table[f"{name}_return"] = groups["finite_return"].agg(statistic)
    table["failed"] = groups.size() - groups["finite_return"].count()
    return table.reset_index()
