"""Estimators against the exact hypergradient: bias, spread and direction as samples grow."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style
from bilevelrl.figures.ticks import plain_log_ticks

_TITLES = ("bias / |dJ/dθ|", "standard deviation / |dJ/dθ|", "cosine with dJ/dθ")
#: Characters from which on four labels do not fit side by side.
_LONG_LABEL = 34
_EXACT_CRITIC: tuple[int, tuple[float, ...]] = (0, (4.0, 1.5))
#: What a critic, or how BC-HG uses it, adds to a label and changes in a line; others: nothing.
_CRITICS: dict[str, tuple[str, dict[str, Any]]] = {
    "exact": (", exact critic", {"linestyle": _EXACT_CRITIC, "marker": "d"}),
    "exact, singly centred": (
        ", exact critic, singly centred", {"linestyle": _EXACT_CRITIC, "marker": "x"}
    ),
    "learned, singly centred": (", singly centred", {"marker": "x"}),
    "model, singly centred": (", singly centred", {"marker": "x"}),
    "model, sampled sensitivity": (", sampled sensitivity", {"marker": "^"}),
}  # fmt: skip


def gradient_quality(gradients: pd.DataFrame) -> Figure:
    """Three panels per θ, against transitions per estimate.

    Args:
        gradients: columns `GRADIENT_COLUMNS`. Estimators with 0 transitions are horizontal lines.

    Returns:
        One row of panels per point; a placeholder if there is nothing to draw.
    """
    sampled = gradients[gradients["env_steps_per_update"] > 0]
    if sampled.empty:
        return style.placeholder("Estimator error")
    points = list(dict.fromkeys(gradients["point"]))
    with style.theme():
        figure, axes = style.new_figure(8.4, 2.0 * len(points) + 1.2, len(points), 3, sharex=True)
        for row, point in zip(axes, points, strict=True):
            rows = gradients[gradients["point"] == point]
            for estimator, variant, lines in style.groups(rows):
                for critic, line in lines.groupby("critic", sort=True):
                    _draw(row, line.sort_values("env_steps_per_update"), estimator, variant, critic)
            _decorate(row, point, float(rows["exact_norm"].iloc[0]))
        for ax, title in zip(axes[0], _TITLES, strict=True):
            ax.set_title(title)
        for ax in axes[-1]:
            ax.set_xlabel("transitions per estimate")
            _name_budgets(ax, sorted(set(sampled["env_steps_per_update"])))
        handles = _handles(gradients)
        longest = max(len(str(handle.get_label())) for handle in handles)
        style.legend_below(figure, handles, columns=4 if longest < _LONG_LABEL else 3)
    return figure


def _name_budgets(ax: Axes, budgets: list[int]) -> None:
    if budgets[-1] <= 10 * budgets[0]:  # then powers of ten alone do not say where the points are
        ax.set_xticks(budgets)
        ax.minorticks_off()


def _look(estimator: str, variant: str, critic: object) -> dict[str, Any]:
    look = style.line_style(estimator, variant) | {"markersize": 4.5}
    change = _CRITICS.get(str(critic), ("", {}))[1]
    if change.get("marker") == "x":  # has no face, only edges
        change = change | {"markeredgecolor": look["color"], "markeredgewidth": 1.0}
    return look | change


def _draw(
    row: list[Axes], line: pd.DataFrame, estimator: str, variant: str, critic: object
) -> None:
    look = _look(estimator, variant, critic)
    samples = line["env_steps_per_update"]
    detected = line["bias"] > 0.0
    values = (
        # Where no bias was detected, the detection limit stands for it, marked as a bound.
        line["bias"].where(detected, line["bias_error"]) / line["exact_norm"],
        line["standard_deviation"] / line["exact_norm"],
        line["cosine_mean"],
    )
    for ax, value in zip(row, values, strict=True):
        if (samples == 0).all():
            # Nothing sampled may mean no spread, which a logarithmic axis cannot show.
            if np.isfinite(value).all() and (ax is row[2] or (value > 0.0).all()):
                ax.axhline(value.iloc[0], color=look["color"], linestyle=look["linestyle"])
        else:
            ax.plot(samples, value, **look)
    bounds = ~detected & (samples > 0)
    row[0].plot(samples[bounds], values[0][bounds], **_BOUND)


_BOUND: dict[str, Any] = {
    "linestyle": "none", "marker": 7, "color": "black", "markersize": 5.0, "zorder": 5,
}  # fmt: skip


def _decorate(row: list[Axes], point: str, exact_norm: float) -> None:
    for ax in row:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    for ax in row[:2]:
        ax.set_yscale("log")
        plain_log_ticks(ax)
    row[2].axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    row[2].set_ylim(-1.05, 1.05)
    name = point.replace("_", " ")
    row[0].set_ylabel(f"θ: {name}\n|dJ/dθ| = {exact_norm:.2g}")


def _handles(gradients: pd.DataFrame) -> list[Artist]:
    handles: list[Artist] = []
    for estimator, variant, rows in style.groups(gradients):
        for critic in sorted(set(rows["critic"])):
            text = style.label(estimator, variant) + _CRITICS.get(str(critic), ("", {}))[0]
            handles.append(Line2D([], [], label=text, **_look(estimator, variant, critic)))
    handles.append(Line2D([], [], label="no bias found, at most this", **_BOUND))
    return handles
