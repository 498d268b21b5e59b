"""Building thermal control over the updates: designs, their costs, samples to the optimum."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style
from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.ticks import plain_log_ticks

#: What a coordinate of a trajectory is called on an axis.
COMPONENTS = {
    "stability": "stability: −Σ γᵗ Var(s), °²",
    "energy": "energy: Σ γᵗ |a|²",
    "insulation": "insulation: Σ γᵗ |α|²",
    "airflow": "airflow: Σ γᵗ |β|²",
}
_SHADES = ("#F2A27B", "#E57A3A", "#B84E00", "#5E2900")
_MARKERS = ("o", "s", "^", "D")
_BEST: dict[str, Any] = {
    "color": style.BEST_KNOWN_COLOUR, "linewidth": 0.9, "linestyle": (0, (8.0, 2.0)),
}  # fmt: skip
_NAIVE_END: dict[str, Any] = {
    "color": style.ESTIMATORS["naive"].colour, "linewidth": 0.9, "linestyle": (0, (3.0, 3.0)),
}  # fmt: skip


def designs(trajectories: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Levels over the updates, mean and range over seeds.

    Args:
        trajectories: columns estimator, variant, budget, seed, update, coordinate, value.
        names: coordinates to show, half of them in each row.

    Returns:
        A panel per level; a placeholder if there is nothing to draw.
    """
    return coordinate_panels(
        trajectories, {name: _level_label(name) for name in names}, len(names) // 2, "Designs",
        (-0.03, 1.03),
    )  # fmt: skip


def cost_components(trajectories: pd.DataFrame) -> Figure:
    """The four discounted sums that J weighs, mean and range over seeds; arguments as `designs`."""
    return coordinate_panels(trajectories, COMPONENTS, 2, "Components of J", None)


def _level_label(name: str) -> str:
    zone = name[-1]
    if name.startswith("alpha"):
        return f"insulation α$_{zone}$ of zone {zone}"
    return f"airflow β$_{zone}$, zones {zone} and {int(zone) % 4 + 1}"


def sample_efficiency(
    curves: pd.DataFrame, best_known: float, naive_end: float, thresholds: Sequence[float]
) -> Figure:
    """J of one estimator against the samples it took, a line per batch size.

    Args:
        curves: columns budget, env_steps, iqm, low, high of one estimator and variant.
        best_known: J of the best known design.
        naive_end: J where a perfect naive leader ends.
        thresholds: named on the right-hand panel, below `best_known`.

    Returns:
        Two panels: J, and how much of it is missing; a placeholder if there is nothing to draw.
    """
    budgets = sorted(set(curves["budget"]))
    if not budgets:
        return style.placeholder("Samples to the optimum")
    with style.theme():
        figure, ((left, right),) = style.new_figure(8.6, 4.2, 1, 2)
        for place, budget in enumerate(budgets):
            rows = curves[(curves["budget"] == budget) & (curves["env_steps"] > 0)]
            colour = _SHADES[min(place, len(_SHADES) - 1)]
            look: dict[str, Any] = {
                "color": colour,
                "marker": _MARKERS[place % len(_MARKERS)],
                "markevery": (place, 12),
                "label": f"{budget:,} transitions per update",
            }
            _line(left, rows["env_steps"], rows[["iqm", "low", "high"]], look)
            _line(right, rows["env_steps"], best_known - rows[["iqm", "low", "high"]], look)
        left.axhline(best_known, label=f"best known J ({style.number(best_known, 1)})", **_BEST)
        text = f"all levels 1, a perfect Naive-PGD ({style.number(naive_end, 1)})"
        left.axhline(naive_end, label=text, **_NAIVE_END)
        right.axhline(best_known - naive_end, **_NAIVE_END)
        left.set_ylabel("leader return J(θ)\nIQM over seeds")
        right.set_ylabel("best known J − J(θ)  (log scale)")
        _missing(right, best_known, thresholds)
        for ax in (left, right):
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
            ax.set_xlabel("transitions sampled by the leader")
        handles = left.get_legend_handles_labels()[0]
        style.legend_below(figure, [*handles, style.band_handle("interval over seeds")], columns=2)
    return figure


def _line(ax: Axes, env_steps: pd.Series, values: pd.DataFrame, look: dict[str, Any]) -> None:
    ax.plot(env_steps, values["iqm"], markersize=4.0, **look)
    band: dict[str, Any] = {"color": look["color"], "alpha": style.BAND_ALPHA, "linewidth": 0}
    ax.fill_between(env_steps, values["low"], values["high"], **band)


def _missing(ax: Axes, best_known: float, thresholds: Sequence[float]) -> None:
    """A logarithmic axis of what J lacks, with the thresholds named on its right."""
    ax.set_yscale("log", nonpositive="clip")
    plain_log_ticks(ax)
    ax.yaxis.grid(visible=False)
    for threshold in thresholds:
        if threshold < best_known:
            ax.axhline(best_known - threshold, color="0.85", linewidth=0.8, zorder=0)
            ax.annotate(
                f"J = {style.number(threshold, 1)}", (1.02, best_known - threshold),
                xycoords=("axes fraction", "data"), va="center", fontsize=8.5,
            )  # fmt: skip
