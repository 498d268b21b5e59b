"""How far estimates at fixed θ are from the exact hypergradient, from results/gradients.csv."""

import math
from collections.abc import Iterator

import pandas as pd

from bilevelrl.figures import style
from bilevelrl.reporting import formats
from bilevelrl.reporting.page.content import EMPTY, Table, table

_SMALL = 1e-4


def of_problem(gradients: pd.DataFrame, problem: str) -> list[Table]:
    """Summary over all θ, and every θ; no tables if the study is not in the grid.

    Args:
        gradients: columns `GRADIENT_COLUMNS` of `runs.records`.
        problem: whose rows are meant.
    """
    rows = gradients[gradients["problem"] == problem]
    if rows.empty:
        return []
    relative = rows.assign(
        note=rows["note"].fillna(""),
        relative_bias=rows["bias"] / rows["exact_norm"],
        relative_rmse=rows["rmse"] / rows["exact_norm"],
    )
    points, replicates = rows["point"].nunique(), sorted({*rows["replicates"]})
    counted = " or ".join(f"{count:,}" for count in replicates)
    caption = (
        f"Estimates at {points} fixed θ, {counted} of each kind at each: bias and root mean square "
        "error as shares of |dJ/dθ|, and the mean cosine of one estimate with dJ/dθ; median over "
        "θ, and in brackets the lowest and the highest."
    )
    every = (
        "The same at every θ. Bias is |mean estimate − dJ/dθ| with its own sampling error removed "
        "in quadrature (0: none found), ± the standard error of the mean estimate."
    )
    return [
        table(caption, _over_points(relative), name=f"{problem}-gradients"),
        table(every, _at_points(relative), folded=True),
    ]


def _kinds(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Label and rows of every kind of estimate, in the order of legends."""
    for estimator, variant, own in style.groups(rows):
        for (_, note), alike in own.groupby(["rung", "note"], sort=False):
            yield ", ".join(filter(None, (style.label(estimator, variant), str(note)))), alike


def _over_points(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for label, alike in _kinds(rows):
        for budget, own in alike.groupby("env_steps_per_update"):
            yield {
                "estimate": label,
                "transitions": _count(budget),
                "bias / |dJ/dθ|": _median(own["relative_bias"]),
                "RMSE / |dJ/dθ|": _median(own["relative_rmse"]),
                "cosine": _median(own["cosine_mean"]),
            }


def _at_points(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for label, alike in _kinds(rows):
        for row in alike.to_dict("records"):
            bias, error = (number(row[name]) for name in ("bias", "bias_error"))
            yield {
                "estimate": label,
                "critic": str(row["critic"]),
                "θ": str(row["point"]),
                "transitions": _count(row["env_steps_per_update"]),
                "|dJ/dθ|": number(row["exact_norm"]),
                "bias ± SE": f"{bias} ± {error}",
                "SD of one estimate": number(row["standard_deviation"]),
                "RMSE": number(row["rmse"]),
                "mean cosine": number(row["cosine_mean"]),
                "cosine of the mean": number(row["cosine_of_mean"]),
            }


def _count(value: object) -> str:
    return f"{value:,}" if value else EMPTY


def _median(values: pd.Series) -> str:
    middle, low, high = (number(value) for value in (values.median(), values.min(), values.max()))
    return f"{middle} [{low}, {high}]"


def number(value: float) -> str:
    """Three significant digits, with a power of ten where there would be many zeros."""
    if not value or math.isnan(value):
        return EMPTY if value else "0"
    return formats.number(value, ".2e" if abs(value) < _SMALL else "3s")
