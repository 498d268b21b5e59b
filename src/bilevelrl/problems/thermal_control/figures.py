"""Figures of building thermal control: which there are, and those over the updates."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.figures import style
from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.figures.ticks import plain_log_ticks
from bilevelrl.problems.thermal_control.designs_figure import buildings, random_designs
from bilevelrl.problems.thermal_control.study_figure import directions, variance_ladder
from bilevelrl.runs.table_files import read_csv, read_parquet

#: What a coordinate of a trajectory is called on an axis.
COMPONENTS = {
    "stability": "stability: −Σ γᵗ Var(s), °²",
    "energy": "energy: Σ γᵗ |a|²",
    "insulation": "insulation: Σ γᵗ |α|²",
    "airflow": "airflow: Σ γᵗ |β|²",
}
_SHADES = ("#F2A27B", "#E57A3A", "#B84E00", "#5E2900")
_MARKERS = ("o", "s", "^", "D")
#: Factor between gaps of thresholds from which on their names do not overlap.
_APART = 1.8
#: Levels, likewise.
LEVELS = {f"alpha{zone}": f"insulation α$_{zone}$ of zone {zone}" for zone in range(1, 5)} | {
    f"beta{zone}": f"airflow β$_{zone}$, zones {zone} and {zone % 4 + 1}" for zone in range(1, 5)
}
#: Estimators whose designs are followed.
_FOLLOWED = (
    ("bc_hg", "published"), ("bc_hg", "improved"), ("naive", "published"), ("exact", "published"),
)  # fmt: skip
#: Rungs that the figure of the ladder shows alone.
_IN_BETWEEN = (
    "bc_hg_corrected_centred_value", "bc_hg_corrected_centred_value_doubly_centred",
    "bc_hg_improved_singly_centred", "bc_hg_improved_doubly_centred",
)  # fmt: skip
_BUILDINGS = {"start": "start", "all 1": "published end", "best known": "best known"}
_DESIGN = ("leader_return", "spectral_radius", *COMPONENTS, *LEVELS)
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
    folder = source.root / "data" / "evaluate" / results.problem
    every = read_parquet(folder / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    identified = at(every, temperature=temperature, study="identified", variant="improved")
    ends = best, naive_end
    yield "sample_efficiency", sample_efficiency(curves, identified, *ends, source.thresholds)
    followed = _followed(at(source.trajectories, temperature=temperature))
    yield "designs", designs(followed)
    yield "components", cost_components(followed)
    yield "directions", directions(turned, drift)
    yield "ladder", variance_ladder(results.gradients)
    yield "random_search", random_designs(drawn, histogram, best)
    yield "buildings", buildings(designs_table, _BUILDINGS)


def _beside_published(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows at batch sizes of published variants; `sample_efficiency` shows the other ones."""
    budgets = set(at(curves, variant="published")["budget"]) | {0}
    return curves if budgets == {0} else curves[curves["budget"].isin(budgets)]


def _followed(trajectories: pd.DataFrame) -> pd.DataFrame:
    """Rows of `_FOLLOWED`, each at its largest budget."""
    chosen = [at(trajectories, estimator=name, variant=variant) for name, variant in _FOLLOWED]
    parts = [at(rows, budget=rows["budget"].max()) for rows in chosen]
    return pd.concat(parts, ignore_index=True)


def designs(trajectories: pd.DataFrame) -> Figure:
    """Levels over the updates, mean and range over seeds; a placeholder without rows.

    `trajectories` has columns estimator, variant, budget, seed, update, coordinate, value.
    """
    return coordinate_panels(trajectories, LEVELS, 4, "Designs", (-0.03, 1.03))


def cost_components(trajectories: pd.DataFrame) -> Figure:
    """The four discounted sums that J weighs, mean and range over seeds; arguments as `designs`."""
    return coordinate_panels(trajectories, COMPONENTS, 2, "Components of J", None)


def sample_efficiency(
    curves: pd.DataFrame,
    identified: pd.DataFrame,
    best_known: float,
    naive_end: float,
    thresholds: Sequence[float],
) -> Figure:
    """J of one estimator against the samples it took, and how much of J is missing.

    Args:
        curves: columns budget, env_steps, iqm, low, high of one estimator and variant; a line per
            batch size, a placeholder without rows.
        identified: the same columns, of the estimator in a building that it identifies.
        best_known: J of the best known design.
        naive_end: J where a perfect naive leader ends.
        thresholds: named on the right-hand panel, below `best_known`.
    """
    budgets = sorted(set(curves["budget"]))
    if not budgets:
        return style.placeholder("Samples to the optimum")
    with style.theme():
        figure, ((left, right),) = style.new_figure(8.6, 4.2, 1, 2)
        for place, budget in enumerate(budgets):
            rows = curves[(curves["budget"] == budget) & (curves["env_steps"] > 0)]
            text, own = f"{budget:,} transitions per update", rows[["iqm", "low", "high"]]
            for ax, values in ((left, own), (right, best_known - own)):
                _line(ax, rows["env_steps"], values, place, text)
        for budget in sorted(set(identified["budget"])):
            rows = at(identified, budget=budget)
            steps = rows["env_steps"] + budget  # what the update itself sees included
            text, known = f"identified building, {budget:,}", rows["iqm"]
            for ax, line in ((left, known), (right, best_known - known)):
                ax.plot(steps, line, color="black", linewidth=1.2, linestyle="-.", label=text)
        left.axhline(
            best_known, color=style.BEST_KNOWN_COLOUR, linewidth=0.9, linestyle=(0, (8.0, 2.0)),
            label=f"best known J ({style.number(best_known, 1)})",
        )  # fmt: skip
        text = f"all levels 1, a perfect Naive-PGD ({style.number(naive_end, 1)})"
        colour = style.ESTIMATORS["naive"].colour
        for ax, end in ((left, naive_end), (right, best_known - naive_end)):
            ax.axhline(end, label=text, color=colour, linewidth=0.9, linestyle=(0, (3.0, 3.0)))
        left.set_ylabel("leader return J(θ)\nIQM over seeds")
        right.set_ylabel("best known J − J(θ)  (log scale)")
        _missing(right, best_known, thresholds)
        shown = best_known - np.concatenate([curves["iqm"], identified["iqm"]])
        if lacking := [gap for gap in shown.tolist() if gap > 0.0]:
            right.set_ylim(bottom=0.5 * min(lacking))  # intervals reach zero
        for ax in (left, right):
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
            ax.set_xlabel("transitions sampled by the leader")
        handles = left.get_legend_handles_labels()[0]
        style.legend_below(figure, [*handles, style.band_handle("interval over seeds")], columns=2)
    return figure


def _line(ax: Axes, x: pd.Series, values: pd.DataFrame, place: int, text: str) -> None:
    colour, marker = _SHADES[min(place, len(_SHADES) - 1)], _MARKERS[place % len(_MARKERS)]
    ax.plot(x, values["iqm"], markersize=4.0, color=colour, marker=marker,
            markevery=(place, 12), label=text)  # fmt: skip
    ax.fill_between(x, values["low"], values["high"], color=colour, alpha=style.BAND_ALPHA,
                    linewidth=0)  # fmt: skip


def _missing(ax: Axes, best_known: float, thresholds: Sequence[float]) -> None:
    """A logarithmic axis of what J lacks, with the thresholds named on its right."""
    ax.set_yscale("log", nonpositive="clip")
    plain_log_ticks(ax)
    ax.yaxis.grid(visible=False)
    named: list[tuple[float, str]] = []
    for threshold in sorted(thresholds):
        if threshold < best_known:
            missing, text = best_known - threshold, style.number(threshold, 1)
            ax.axhline(missing, color="0.85", linewidth=0.8, zorder=0)
            if named and named[-1][0] < _APART * missing:  # one below the other would overlap
                above, before = named.pop()
                named.append(((above * missing) ** 0.5, f"{before}, {text}"))
            else:
                named.append((missing, f"J = {text}"))
    for height, text in named:
        ax.annotate(text, (1.02, height), va="center", fontsize=8.5,
                    xycoords=("axes fraction", "data"))  # fmt: skip
