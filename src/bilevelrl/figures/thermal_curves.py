"""Building thermal control over the updates: designs, their costs, samples to the optimum."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style

#: What a coordinate of a trajectory is called on an axis.
COMPONENTS = {
    "stability": "−Σ γᵗ Var(s)  (°²)",
    "energy": "Σ γᵗ |a|²",
    "insulation": "Σ γᵗ |α|²",
    "airflow": "Σ γᵗ |β|²",
}
_SHADES = ("#F6B48F", "#EE7B3B", "#D55E00", "#7A3500")
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
    return _panels(
        trajectories, {name: _level_label(name) for name in names}, len(names) // 2, "Designs",
        (-0.03, 1.03),
    )  # fmt: skip


def cost_components(trajectories: pd.DataFrame) -> Figure:
    """The four discounted sums that J weighs, mean and range over seeds; arguments as `designs`."""
    return _panels(trajectories, COMPONENTS, 2, "Components of J", None)


def _level_label(name: str) -> str:
    zone = name[-1]
    if name.startswith("alpha"):
        return f"insulation α$_{zone}$ of zone {zone}"
    return f"airflow β$_{zone}$, zones {zone} and {int(zone) % 4 + 1}"


def _panels(
    trajectories: pd.DataFrame, labels: dict[str, str], columns: int, what: str,
    limits: tuple[float, float] | None,
) -> Figure:  # fmt: skip
    if trajectories.empty:
        return style.placeholder(what)
    rows = -(-len(labels) // columns)
    with style.theme():
        figure, axes = style.new_figure(
            2.3 * columns + 1.2, 2.1 * rows + 1.0, rows, columns, sharex=True
        )
        panels = [ax for row in axes for ax in row]
        for ax, (name, text) in zip(panels, labels.items(), strict=True):
            own = trajectories[trajectories["coordinate"] == name]
            for estimator, variant, runs in style.groups(own):
                look = style.line_style(estimator, variant) | {"marker": "none"}
                over_seeds = runs.groupby("update")["value"]
                low, high = over_seeds.min(), over_seeds.max()
                ax.fill_between(
                    low.index, low, high, color=look["color"], alpha=style.BAND_ALPHA, linewidth=0
                )
                ax.plot(low.index, over_seeds.mean(), **look)
            ax.set_title(text)
            if limits is not None:
                ax.set_ylim(*limits)
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        for ax in axes[-1]:
            ax.set_xlabel("leader updates")
        handles = style.estimator_handles(trajectories, marked=())
        handles.append(style.band_handle("smallest to largest of the seeds"))
        style.legend_below(figure, handles, columns=3)
    return figure


def sample_efficiency(
    curves: pd.DataFrame, best_known: float, naive_end: float, thresholds: Sequence[float]
) -> Figure:
    """J of one estimator against the samples it took, a line per batch size.

    Args:
        curves: columns budget, env_steps, iqm, low, high of one estimator and variant.
        best_known: J of the best known design.
        naive_end: J where a perfect naive leader ends.
        thresholds: marked on the vertical axis.

    Returns:
        One panel; a placeholder if there is nothing to draw.
    """
    budgets = sorted(set(curves["budget"]))
    if not budgets:
        return style.placeholder("Samples to the optimum")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 4.0)
        for place, budget in enumerate(budgets):
            rows = curves[(curves["budget"] == budget) & (curves["env_steps"] > 0)]
            colour = _SHADES[min(place, len(_SHADES) - 1)]
            band: dict[str, Any] = {"color": colour, "alpha": style.BAND_ALPHA, "linewidth": 0}
            ax.fill_between(rows["env_steps"], rows["low"], rows["high"], **band)
            text = f"{budget:,} transitions per update"
            ax.plot(rows["env_steps"], rows["iqm"], color=colour, label=text)
        _levels(ax, best_known, naive_end, thresholds)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlabel("transitions sampled by the leader")
        ax.set_ylabel("leader return J(θ)\nIQM over seeds")
        handles = [*ax.get_legend_handles_labels()[0], style.band_handle("bootstrap interval")]
        style.legend_below(figure, handles, columns=2)
    return figure


def _levels(ax: Axes, best_known: float, naive_end: float, thresholds: Sequence[float]) -> None:
    best: dict[str, Any] = {
        "color": style.BEST_KNOWN_COLOUR,
        "linewidth": 0.9,
        "linestyle": (0, (8.0, 2.0)),
    }
    ax.axhline(best_known, label=f"best known J ({best_known:.1f})", **best)
    ax.axhline(naive_end, label=f"all levels 1: perfect Naive-PGD ({naive_end:.1f})", **_NAIVE_END)
    for threshold in thresholds:
        ax.axhline(threshold, color="0.85", linewidth=0.8, zorder=0)
