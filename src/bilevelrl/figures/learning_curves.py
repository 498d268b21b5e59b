"""Learning curves, one panel per case and sample budget, with the published ones behind."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style
from bilevelrl.figures.ticks import plain_log_ticks

Axis = Literal["update", "env_steps"]
Scale = Literal["linear", "log"]
_AXIS_LABELS = {
    "update": "leader updates",
    "env_steps": "transitions sampled by the leader, oracle not counted",
}
_COLUMNS = 2
_PUBLISHED: style.Look = {"linestyle": (0, (1.0, 1.0)), "linewidth": 0.9, "alpha": 0.85}


def learning_curves(
    curves: pd.DataFrame,
    published: pd.DataFrame,
    best_known: pd.DataFrame,
    x: Axis,
    *,
    objective: str = "leader return J(θ)",
    scale: Scale = "linear",
) -> Figure:
    """Interquartile mean of J with its interval.

    Estimators with budget 0 sample nothing: they appear in every panel against updates and in none
    against transitions. A placeholder if there is nothing to draw.

    Args:
        curves: columns estimator, variant, case, budget, update, env_steps, iqm, low, high; rows of
            one temperature.
        published: columns estimator, budget, update, leader_return, masked; drawn thin.
        best_known: columns case, variant, best_known; one line per value in the panels of a case.
        x: horizontal axis.
        objective: what J is called on the vertical axis.
        scale: of the vertical axis.
    """
    sampled = curves[curves["budget"] > 0]
    shapes = sorted({*zip(sampled["case"].astype(str), sampled["budget"], strict=True)})
    if not shapes:
        return style.placeholder("Learning curves")
    num_columns = min(_COLUMNS, len(shapes))
    num_rows = -(-len(shapes) // num_columns)
    with style.theme():
        width, height = (8.0, 2.6 * num_rows + 1.0) if num_columns > 1 else (8.6, 4.6)
        figure, axes = style.new_figure(
            width, height, num_rows, num_columns, sharex=True, sharey=True
        )
        panels = [ax for row in axes for ax in row]
        cases = {case for case, _ in shapes}
        for ax, (case, budget) in zip(panels, shapes, strict=False):
            own, known = (table[table["case"] == case] for table in (curves, best_known))
            shown = own[own["budget"].isin([budget, 0] if x == "update" else [budget])]
            _panel(ax, shown, published[published["budget"] == budget], budget, x)
            if len(cases) > 1:
                ax.set_title(f"{_in_words(case)}\n{ax.get_title()}")
            _best_known(ax, known[known["variant"].isin(own["variant"])], shown)
        for ax in panels[len(shapes) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel(f"{objective}\nIQM over seeds")
            if scale == "log":
                row[0].set_yscale(scale)
                plain_log_ticks(row[0])
            else:
                _focus(row[0], panels)
        for ax in axes[-1]:
            ax.set_xlabel(_AXIS_LABELS[x])
        drawn = curves if x == "update" else sampled
        handles = [*style.estimator_handles(drawn), style.band_handle("interval over seeds")]
        if not published.empty:
            how = " (masked)" if published["masked"].any() else ""
            text = f"published mean{how}, same colour"
            handles.append(Line2D([], [], color="0.3", label=text, **_PUBLISHED))
        known = best_known[best_known["variant"].isin(drawn["variant"])]
        lines = (variant for _, own in known.groupby("case") for variant, _ in _distinct(own))
        handles += map(best_known_handle, dict.fromkeys(lines))
        style.legend_below(figure, handles, columns=4)
    return figure


def _in_words(case: str) -> str:
    return case.replace("=", " = ").replace(";", ", ")


def _panel(ax: Axes, curves: pd.DataFrame, published: pd.DataFrame, budget: int, x: Axis) -> None:
    scale = budget if x == "env_steps" else 1
    for estimator, rows in published.groupby("estimator"):
        colour = style.look(str(estimator)).colour
        known = rows[rows["update"] > 0] if x == "env_steps" else rows
        ax.plot(known["update"] * scale, known["leader_return"], color=colour, **_PUBLISHED)
    for estimator, variant, rows in style.groups(curves):
        colour = style.look(estimator).colour
        look = style.line_style(estimator, variant)
        if variant == "published":
            look["marker"] = "none"
        style.draw_band(ax, rows[x], rows["low"], rows["high"], colour)
        ax.plot(rows[x], rows["iqm"], markevery=(3, 12), **look)
    ax.set_title(f"{budget} transitions per update")
    if x == "env_steps":
        ax.set_xscale("log")
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def _focus(ax: Axes, panels: list[Axes]) -> None:
    """Lines take a third of the height at least: bands of two seeds may be ten times as wide."""
    heights = np.concatenate([np.asarray(line.get_ydata()) for ax in panels for line in ax.lines])
    known = heights[np.isfinite(heights.astype(np.float64))]
    if known.size and (span := float(np.ptp(known))) > 0.0:
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, known.min() - span), min(high, known.max() + span))


def _best_known(ax: Axes, best_known: pd.DataFrame, shown: pd.DataFrame) -> None:
    """Lines of what is shown here, dashed as in the legend, which speaks for all panels."""
    here = set(best_known[best_known["variant"].isin(shown["variant"])]["best_known"])
    for variant, value in _distinct(best_known):
        if value in here:
            ax.axhline(value, **best_known_style(variant))


def _distinct(best_known: pd.DataFrame) -> list[tuple[str, float]]:
    """(variant, J), one of each J: variants that face the same follower share it."""
    values = best_known.set_index("variant")["best_known"]
    ordered = values.loc[style.variant_order(values.index)].drop_duplicates()
    return [(str(variant), float(value)) for variant, value in ordered.items()]


def best_known_style(variant: str) -> style.Look:
    """Line of the best known J of a variant."""
    dashes = (0, (8.0, 2.0)) if style.VARIANTS[variant][1] == "full" else (0, (2.0, 2.0))
    return {"color": style.BEST_KNOWN_COLOUR, "linewidth": 0.9, "linestyle": dashes, "zorder": 1}


def best_known_handle(variant: str) -> Line2D:
    """Its entry in a legend."""
    text = "best known J" + style.VARIANTS[variant][0]
    return Line2D([], [], label=text, **best_known_style(variant))
