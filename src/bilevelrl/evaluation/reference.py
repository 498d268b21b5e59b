"""Published learning curves, and ours beside them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import GROUP as _GROUP
from bilevelrl.evaluation.conditions import with_conditions
from bilevelrl.records import CorruptRecord, concatenate

#: Names in the published figures.
ESTIMATORS = {
    "BC-HG": "bc_hg",
    "HPGD (MC)": "hpgd_mc",
    "HPGD (SA)": "hpgd_sa",
    "HPGD (TD)": "hpgd_td",
    "HPGD (oracle)": "hpgd_oracle",
    "SoBiRL": "sobirl",
    "Naive-PGD": "naive",
    "Naive-PGD (on-policy)": "naive_on",
    "Naive-PGD (off-policy)": "naive_off",
    "Bi-AC (off-policy)": "bi_ac_off",
}
_COLUMNS = [
    "temperature",
    "env_steps_per_update",
    "estimator",
    "update",
    "leader_return",
    "standard_error",
]
_KEY = ["problem", "estimator", "temperature", "budget"]
#: `averaged_over`: updates that a published value is a trailing mean of.
REFERENCE_COLUMNS = {
    "problem": "string", "estimator": "string", "temperature": "float64", "budget": "int64",
    "update": "int64", "averaged_over": "int64", "leader_return": "float64",
    "standard_error": "float64",
}  # fmt: skip
AGAINST_PUBLISHED_COLUMNS = (
    *_KEY, "seeds", "ours_mean", "ours_standard_error", "published_mean",
    "published_standard_error", "difference", "z", "within_3_se",
)  # fmt: skip
POINT_COLUMNS = (
    *_KEY, "update", "seeds", "ours_mean", "ours_standard_error", "published_mean",
    "published_standard_error", "difference", "z", "within_3_se",
)  # fmt: skip
CURVE_AGREEMENT_COLUMNS = (
    *_KEY, "updates", "largest_difference", "at_update", "largest_z", "share_within_3_se",
)  # fmt: skip
#: The published curves were read off figures; below this a standard error is not resolved by them.
_RESOLUTION = 1e-4
_TOLERANCE = 1e-3
_MAX_Z = 3.0


def read_references(folder: Path, problems: Iterable[str]) -> pd.DataFrame:
    """Published curves of the problems, with our estimator names.

    Args:
        folder: holds <problem>_curves.csv for problems with published curves.
        problems: to look for.

    Returns:
        Columns problem, estimator, temperature, budget, update, leader_return, standard_error.

    Raises:
        CorruptRecord: if a file is there but is not such a table.
    """
    tables = [_read(folder / f"{problem}_curves.csv", problem) for problem in problems]
    listed = [table for table in tables if len(table)]
    return concatenate(listed) if listed else _nothing()


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=list(REFERENCE_COLUMNS)).astype(REFERENCE_COLUMNS)


def _read(path: Path, problem: str) -> pd.DataFrame:
    if not path.exists():
        return _nothing()
    try:
        table = pd.read_csv(path)
        # FourRooms' curves came smoothed over 100 updates and do not say so.
        averaged_over = table.get("averaged_over", 100)
        table = table[_COLUMNS].assign(averaged_over=averaged_over)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptRecord(f"{path}: {error}") from error
    unknown = set(table["estimator"]) - set(ESTIMATORS)
    if unknown:
        raise CorruptRecord(f"{path}: unknown estimators {sorted(unknown)}")
    table = table.assign(problem=problem, estimator=table["estimator"].map(ESTIMATORS))
    return table.rename(columns={"env_steps_per_update": "budget"})[list(REFERENCE_COLUMNS)]


def published_means(reference: pd.DataFrame, fraction: float = 0.1) -> pd.DataFrame:
    """Mean and standard error of the last tenth of the published updates, one row per curve."""
    ends = reference["update"] + reference["averaged_over"]
    length = ends.groupby(reference["problem"]).transform("max")
    last = reference[reference["update"] > (1.0 - fraction) * length].rename(
        columns={"leader_return": "published_mean", "standard_error": "published_standard_error"}
    )
    measured = ["published_mean", "published_standard_error"]
    return last.groupby(_KEY)[measured].mean().reset_index()


def against_published(summary: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Our `published` variants beside the published numbers, wherever both exist.

    Args:
        summary: columns `SUMMARY_COLUMNS`.
        reference: from `read_references`.

    Returns:
        Columns `AGAINST_PUBLISHED_COLUMNS`. `z` is the difference in units of its standard error;
        it is empty where both runs and figure are flatter than the figure resolves (all seeds at
        "charge nothing"), and agreement then means a difference of at most 1e-3.
    """
    rows = with_conditions(summary[summary["variant"] == "published"])
    rows = rows[rows["study"] == "main"]
    metrics = {"leader_return_mean": "ours_mean", "leader_return_se": "ours_standard_error"}
    ours = rows[rows["metric"].isin(list(metrics))].pivot(
        index=[*_KEY, "seeds"], columns="metric", values="value"
    )
    ours = ours.rename(columns=metrics).reset_index()
    table = ours.merge(published_means(reference), on=_KEY)
    if table.empty:
        return pd.DataFrame(columns=list(AGAINST_PUBLISHED_COLUMNS))
    difference = table["ours_mean"] - table["published_mean"]
    error = np.hypot(table["ours_standard_error"], table["published_standard_error"])
    z: pd.Series = (difference / error).where(error > _RESOLUTION)
    within = (z.abs() <= _MAX_Z).where(z.notna(), difference.abs() <= _TOLERANCE)
    table = table.assign(difference=difference, z=z, within_3_se=within.astype(bool))
    return table[list(AGAINST_PUBLISHED_COLUMNS)].sort_values(_KEY, ignore_index=True)


def curve_agreement(curves: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """How far our learning curves are from the published ones at every listed update.

    Both average J over the 100 updates up to the listed one, if there are 10,000 updates.

    Args:
        curves: columns `LEARNING_CURVE_COLUMNS`.
        reference: what `read_references` returns.

    Returns:
        Per curve: number of updates compared, largest difference and where, largest |z| (with both
        standard errors, floored at the resolution of the figures), share of updates with |z| <= 3.
    """
    published = reference[reference["averaged_over"] > 1]
    published = published.assign(update=published["update"] - 1)  # listed counts from 1
    ours = curves[curves["variant"] == "published"]
    both = ours.merge(published, on=[*_KEY, "update"], suffixes=("", "_published"))
    both["difference"] = both["mean"] - both["leader_return"]
    error = np.hypot(both["standard_error"], both["standard_error_published"])
    both["z"] = (both["difference"] / np.maximum(error, _RESOLUTION)).abs()
    rows = [
        {
            **dict(zip(_KEY, key, strict=True)),
            "updates": len(group),
            "largest_difference": group["difference"].abs().max(),
            "at_update": int(group["update"][group["difference"].abs().idxmax()]) + 1,
            "largest_z": group["z"].max(),
            "share_within_3_se": (group["z"] <= _MAX_Z).mean(),
        }
        for key, group in both.groupby(_KEY)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_AGREEMENT_COLUMNS))


def point_agreement(
    curves: pd.DataFrame, reference: pd.DataFrame, updates: Iterable[int]
) -> pd.DataFrame:
    """Our seeds beside published curves that were not smoothed, at single updates.

    A published value at update n belongs to the leader after n updates, which is ours before update
    n; after the last update there is no row of ours, and the one before stands for it.

    Args:
        curves: columns `CURVE_COLUMNS`.
        reference: what `read_references` returns.
        updates: where to compare, if listed.

    Returns:
        Columns `POINT_COLUMNS`.
    """
    published = reference[(reference["averaged_over"] == 1) & reference["update"].isin(updates)]
    settings = with_conditions(curves[[*_GROUP]].drop_duplicates())
    settings = settings[(settings["study"] == "main") & (settings["variant"] == "published")]
    ours = curves.merge(settings[[*_GROUP, "temperature", "budget"]], on=_GROUP)
    rows = []
    for _, point in published.iterrows():
        same = (ours[_KEY] == point[_KEY].to_numpy()).all(axis=1)
        if not same.any():
            continue
        mine = ours[same]
        nearest = min(int(point["update"]), int(mine["update"].max()))
        values = mine.loc[mine["update"] == nearest, "leader_return"].to_numpy(dtype=np.float64)
        if len(values) < 2:
            continue
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
        difference = float(values.mean() - point["leader_return"])
        z = difference / max(float(np.hypot(error, point["standard_error"])), _RESOLUTION)
        rows.append(
            {
                **{key: point[key] for key in (*_KEY, "update")},
                "seeds": len(values),
                "ours_mean": values.mean(),
                "ours_standard_error": error,
                "published_mean": point["leader_return"],
                "published_standard_error": point["standard_error"],
                "difference": difference,
                "z": z,
                "within_3_se": abs(z) <= _MAX_Z,
            }
        )
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))
