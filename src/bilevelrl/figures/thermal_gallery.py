"""Which figure shows which part of the results of building thermal control."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.gallery import Results, at
from bilevelrl.figures.game_gallery import game_figures
from bilevelrl.figures.thermal_curves import cost_components, designs, sample_efficiency
from bilevelrl.figures.thermal_designs import buildings, random_designs
from bilevelrl.figures.thermal_study import directions, variance_ladder

#: Estimators whose designs are followed.
_FOLLOWED = (
    ("bc_hg", "published"), ("bc_hg", "improved"), ("naive", "published"), ("exact", "published"),
)  # fmt: skip
_LEVELS = tuple(f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5))
_BUILDINGS = {"start": "start", "all 1": "published end", "best known": "best known"}


@dataclass(frozen=True, eq=False)
class ThermalTables:
    """What only building thermal control has.

    Attributes:
        designs: data/environments/thermal_control/designs.csv.
        random_search: data/environments/thermal_control/random_search.csv.
        trajectories: data/evaluate/trajectories.parquet with condition columns.
        directions: results/directions.csv.
        drift: reference/thermal_control_drift.csv.
        histogram: reference/thermal_control_histogram.csv.
        thresholds: values of J that are marked.
    """

    designs: pd.DataFrame
    random_search: pd.DataFrame
    trajectories: pd.DataFrame
    directions: pd.DataFrame
    drift: pd.DataFrame
    histogram: pd.DataFrame
    thresholds: tuple[float, ...]


def thermal_gallery(results: Results, tables: ThermalTables) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    problem, temperature = results.problem, results.temperatures[0]
    # The ladder shows every rung; this figure those that differ in more than how BC-HG is averaged.
    apart = results.gradients[results.gradients["critic"].isin(["quadratic", "exact"])]
    own = replace(results, gradients=apart, curves=_beside_published(results.curves))
    yield from game_figures(own, "leader return J(θ)", "linear")
    named = tables.designs.set_index("design")["leader_return"]
    curves = at(results.curves, temperature=temperature, estimator="bc_hg", variant="improved")
    best, naive_end = float(named["best known"]), float(named["all 1"])
    figure = sample_efficiency(curves, best, naive_end, tables.thresholds)
    yield f"{problem}_sample_efficiency", figure
    followed = _followed(at(tables.trajectories, temperature=temperature))
    yield f"{problem}_designs", designs(followed, _LEVELS)
    yield f"{problem}_components", cost_components(followed)
    yield f"{problem}_directions", directions(tables.directions, tables.drift)
    yield f"{problem}_ladder", variance_ladder(results.gradients)
    figure = random_designs(tables.random_search, tables.histogram, best)
    yield f"{problem}_random_search", figure
    yield f"{problem}_buildings", buildings(tables.designs, _BUILDINGS)


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
