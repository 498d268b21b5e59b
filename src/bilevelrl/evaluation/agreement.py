"""Our numbers beside the published ones, and one rule for whether they agree."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bilevelrl.evaluation.as_published import main_curves, masked_means
from bilevelrl.evaluation.reference import KEY, published_means
from bilevelrl.evaluation.statistics import mean, standard_error

_VERDICT = ("difference", "z", "z_basis", "within_3_se")
_MASKED = (
    "masked", "ours_masked_mean", "ours_masked_standard_error", "masked_difference", "masked_z",
    "masked_z_basis", "masked_within_3_se",
)  # fmt: skip
_SIDES = ("ours_mean", "ours_standard_error", "published_mean", "published_standard_error")
AGAINST_PUBLISHED_COLUMNS = (*KEY, "seeds", *_SIDES, *_VERDICT, *_MASKED)
POINT_COLUMNS = (*KEY, "update", "seeds", *_SIDES, *_VERDICT)
_AGREEMENT = (
    "updates", "largest_difference", "at_update", "largest_z", "share_within_3_se", "judged",
)  # fmt: skip
CURVE_AGREEMENT_COLUMNS = (*KEY, *_AGREEMENT, "masked", *(f"masked_{name}" for name in _AGREEMENT))
#: The published curves were read off figures; a smaller standard error is not resolved by them.
RESOLUTION = 1e-4
#: Largest difference in J of two sides that agree although neither varies.
TOLERANCE = 1e-3
_MAX_Z = 3.0


def verdict(
    ours: pd.Series, our_error: pd.Series, theirs: pd.Series, their_error: pd.Series
) -> pd.DataFrame:
    """Whether means agree, row by row; the rule of every comparison with published numbers.

    z is the difference in units of its standard error, both sides' in quadrature. It needs both:
    where all seeds of a side end at one point (stuck at "charge nothing", say), the spread of 0
    tells nothing about the chance that a seed ends elsewhere, and z is empty. If neither side
    varies, they agree when J differs by at most `TOLERANCE`; if one does, there is no verdict.
    The errors are standard errors of the means over seeds, NaN for a single seed.

    Returns:
        Columns difference, z, z_basis and within_3_se, indexed as `ours`. `z_basis` is "both",
        "neither varies", "ours does not vary", "published does not vary" or "no standard error";
        `within_3_se` is missing without a verdict.
    """
    difference = ours - theirs
    known = our_error.notna() & their_error.notna() & difference.notna()
    our_spread, their_spread = our_error >= RESOLUTION, their_error >= RESOLUTION
    both, neither = known & our_spread & their_spread, known & ~our_spread & ~their_spread
    z: pd.Series = (difference / np.hypot(our_error, their_error)).where(both)
    basis = pd.Series("no standard error", index=ours.index)
    basis = basis.mask(known & ~our_spread, "ours does not vary")
    basis = basis.mask(known & ~their_spread, "published does not vary")
    basis = basis.mask(neither, "neither varies").mask(both, "both")
    within = pd.Series(pd.NA, index=ours.index, dtype="boolean")
    within = within.mask(both, z.abs() <= _MAX_Z)
    within = within.mask(neither, difference.abs() <= TOLERANCE)
    return pd.DataFrame({"difference": difference, "z": z, "z_basis": basis, "within_3_se": within})


def against_published(
    summary: pd.DataFrame, reference: pd.DataFrame, ours: pd.DataFrame
) -> pd.DataFrame:
    """Our `published` variants beside the published numbers, wherever both exist.

    Args:
        summary: columns `SUMMARY_COLUMNS` and `CONDITION_COLUMNS`.
        reference: from `read_references`.
        ours: from `curves_as_published`, of all cells.

    Returns:
        Columns `AGAINST_PUBLISHED_COLUMNS`. `masked` seeds at each end are missing from the
        published curve at every update; the masked columns compare it with ours without as many,
        and are empty where it is of all seeds.
    """
    rows = summary[(summary["variant"] == "published") & (summary["study"] == "main")]
    metrics = {"leader_return_mean": "ours_mean", "leader_return_se": "ours_standard_error"}
    means = rows[rows["metric"].isin(list(metrics))].pivot(
        index=[*KEY, "seeds"], columns="metric", values="value"
    )
    means = means.rename(columns=metrics).reset_index()
    table = means.merge(published_means(reference), on=KEY)
    if table.empty:
        return pd.DataFrame(columns=list(AGAINST_PUBLISHED_COLUMNS))
    table = table.merge(masked_means(ours), on=KEY, how="left")
    table = table.join(verdict(*(table[name] for name in _SIDES)))
    sides = ("ours_masked_mean", "ours_masked_standard_error", *_SIDES[2:])
    masked = verdict(*(table[name] for name in sides)).add_prefix("masked_")
    table = table.join(masked.mask(table["masked"] == 0))
    return table[list(AGAINST_PUBLISHED_COLUMNS)].sort_values(KEY, ignore_index=True)


def curve_agreement(ours: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """How far our learning curves are from the published ones at every listed update.

    Args:
        ours: from `curves_as_published`, of all cells.
        reference: from `read_references`.

    Returns:
        Columns `CURVE_AGREEMENT_COLUMNS`, a row per curve: number of updates compared, largest
        difference and where, largest |z| where there is one, share of the `judged` updates that
        agree (see `verdict`); the same of the masked means, empty where nothing is masked.
    """
    both = ours.merge(
        reference.drop(columns="averaged_over"), on=[*KEY, "update"], suffixes=("", "_published")
    )
    rows = []
    for key, group in both.groupby(KEY):
        row = dict(zip(KEY, key, strict=True)) | {"masked": int(group["masked"].iloc[0])}
        row |= _agreement(group, "")
        rows.append(row | (_agreement(group, "masked_") if row["masked"] else {}))
    return pd.DataFrame(rows, columns=list(CURVE_AGREEMENT_COLUMNS))


def _agreement(group: pd.DataFrame, prefix: str) -> dict[str, float]:
    ours = group[f"{prefix}mean"], group[f"{prefix}standard_error"]
    found = verdict(*ours, group["leader_return"], group["standard_error_published"])
    size, within = found["difference"].abs(), found["within_3_se"].dropna()
    known = size.notna().any()
    measured = (
        len(group), size.max(), group["update"].iloc[int(np.nanargmax(size))] if known else np.nan,
        found["z"].abs().max(), within.astype(float).mean(), len(within),
    )  # fmt: skip
    return {f"{prefix}{name}": value for name, value in zip(_AGREEMENT, measured, strict=True)}


def point_agreement(
    curves: pd.DataFrame, reference: pd.DataFrame, updates: Iterable[int]
) -> pd.DataFrame:
    """Our seeds beside published curves that were not smoothed, at single updates.

    A published value at update n belongs to the leader after n updates, which is ours before update
    n; after the last update there is no row of ours, and the one before stands for it.

    Args:
        curves: columns `CURVE_COLUMNS` and `CONDITION_COLUMNS`.
        reference: from `read_references`.
        updates: where to compare, if listed.

    Returns:
        Columns `POINT_COLUMNS`.
    """
    published = reference[(reference["averaged_over"] == 1) & reference["update"].isin(updates)]
    columns = [*KEY, "update", "leader_return", "standard_error"]
    ours = main_curves(curves)
    rows = []
    for *key, update, value, error in published[columns].itertuples(index=False):
        mine = ours[(ours[KEY] == key).all(axis=1)]
        if len(mine):
            nearest = mine["update"] == min(update, mine["update"].max())
            values = mine.loc[nearest, "leader_return"].to_numpy(dtype=np.float64)
            measured = (len(values), float(mean(values)), float(standard_error(values)))
            rows.append((*key, update, *measured, value, error))
    table = pd.DataFrame(rows, columns=[*KEY, "update", "seeds", *_SIDES])
    numbers = table[list(_SIDES)].astype("float64")
    return table.join(verdict(*(numbers[name] for name in _SIDES)))[list(POINT_COLUMNS)]
