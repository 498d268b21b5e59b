"""Which figure shows which part of the results of building thermal control."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.problems.thermal_control.curves_figure import (
    cost_components,
    designs,
    sample_efficiency,
)
from bilevelrl.problems.thermal_control.designs_figure import buildings, random_designs
from bilevelrl.problems.thermal_control.study_figure import directions, variance_ladder
from bilevelrl.runs.table_files import read_csv

#: Estimators whose designs are followed.
_FOLLOWED = (
    ("bc_hg", "published"), ("bc_hg", "improved"), ("naive", "published"), ("exact", "published"),
)  # fmt: skip
_LEVELS = tuple(f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5))
#: Rungs that the figure of the ladder shows alone.
_IN_BETWEEN = (
    "bc_hg_corrected_centred_value", "bc_hg_corrected_centred_value_doubly_centred",
    "bc_hg_improved_singly_centred", "bc_hg_improved_doubly_centred",
)  # fmt: skip
_BUILDINGS = {"start": "start", "all 1": "published end", "best known": "best known"}
_DESIGN = (
    "leader_return", "spectral_radius", "stability", "energy", "insulation", "airflow",
    *(f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5)),
)  # fmt: skip
#: data/environments/thermal_control/designs.csv: named designs.
DESIGN_COLUMNS = (*_DESIGN, "design")
#: data/environments/thermal_control/random_search.csv: designs drawn uniformly.
RANDOM_DESIGN_COLUMNS = (*_DESIGN, "leader_return_sampled")
#: reference/thermal_control_drift.csv and reference/thermal_control_histogram.csv.
DRIFT_COLUMNS = ("estimator", "group", "drift")
HISTOGRAM_COLUMNS = ("low", "high", "count")


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (
        *CURVES, "sample_efficiency", "designs", "components", "directions", "ladder",
        "random_search", "buildings",
    )  # fmt: skip


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results, reference = source.results, source.root / "reference"
    designs_table = source.environment("designs", DESIGN_COLUMNS)
    drawn = source.environment("random_search", RANDOM_DESIGN_COLUMNS)
    turned = source.evaluated("directions")
    drift = read_csv(reference / f"{results.problem}_drift.csv", DRIFT_COLUMNS)
    histogram = read_csv(reference / f"{results.problem}_histogram.csv", HISTOGRAM_COLUMNS)
    temperature = results.temperatures[0]
    # The ladder shows every rung; this figure those that differ in more than how BC-HG is averaged.
    apart = results.gradients[~results.gradients["rung"].isin(_IN_BETWEEN)]
    own = replace(results, gradients=apart, curves=_beside_published(results.curves))
    yield from game_figures(own, "leader return J(θ)", "linear")
    named = designs_table.set_index("design")["leader_return"]
    curves = at(results.curves, temperature=temperature, estimator="bc_hg", variant="improved")
    best, naive_end = float(named["best known"]), float(named["all 1"])
    figure = sample_efficiency(curves, best, naive_end, source.thresholds)
    yield "sample_efficiency", figure
    followed = _followed(at(source.trajectories, temperature=temperature))
    yield "designs", designs(followed, _LEVELS)
    yield "components", cost_components(followed)
    yield "directions", directions(turned, drift)
    yield "ladder", variance_ladder(results.gradients)
    figure = random_designs(drawn, histogram, best)
    yield "random_search", figure
    yield "buildings", buildings(designs_table, _BUILDINGS)


def _beside_published(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows at batch sizes of published variants; `sample_efficiency` shows the other ones."""
    budgets = set(at(curves, variant="published")["budget"]) | {0}
    if budgets == {0}:
        return curves
    return curves[curves["budget"].isin(budgets)]


def _followed(trajectories: pd.DataFrame) -> pd.DataFrame:
    """Rows of `_FOLLOWED`, each at its largest budget."""
    parts = []
    for estimator, variant in _FOLLOWED:
        rows = at(trajectories, estimator=estimator, variant=variant)
        parts.append(at(rows, budget=rows["budget"].max()))
    return pd.concat(parts, ignore_index=True)
