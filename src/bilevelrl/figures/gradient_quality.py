"""Estimators against the exact hypergradient: bias, spread and direction as samples grow."""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style
from bilevelrl.figures.ticks import plain_log_ticks

_TITLES = ("bias / |dJ/dθ|", "standard deviation / |dJ/dθ|", "cosine with dJ/dθ")
#: Lines of what an exact critic does.
_EXACT: style.Look = {"linestyle": (0, (4.0, 1.5)), "marker": "d"}
_BOUND = style.CROSS | {"marker": 7, "markersize": 5.0}
#: Relative errors up to this are none.
_ROUNDING = 1e-12
#: Markers of an estimator's rungs beside the one with the shortest note of each critic.
_OTHERS = ("x", "^", "v", "<", ">", "P")


def gradient_quality(gradients: pd.DataFrame) -> Figure:
    """Three panels per θ against transitions per estimate; a placeholder without any.

    Of columns `GRADIENT_COLUMNS`; estimators with 0 transitions are horizontal lines.
    """
    sampled = gradients[gradients["env_steps_per_update"] > 0]
    if sampled.empty:
        return style.placeholder("Estimator error")
    points = list(dict.fromkeys(gradients["point"]))
    budgets = sorted(set(sampled["env_steps_per_update"]))
    with style.theme():
        figure, axes = style.new_figure(8.4, 2.0 * len(points) + 1.2, len(points), 3, sharex=True)
        rungs = list(_rungs(gradients))
        for row, point in zip(axes, points, strict=True):
            for _, lines, look in rungs:
                line = lines[lines["point"] == point]
                if len(line):
                    _draw(row, line.sort_values("env_steps_per_update"), look)
            norms = gradients.loc[gradients["point"] == point, "exact_norm"]
            _decorate(row, point, float(norms.iloc[0]))
        for ax, title in zip(axes[0], _TITLES, strict=True):
            ax.set_title(title)
        for ax in axes[-1]:
            ax.set_xlabel("transitions per estimate")
            if budgets[-1] <= 10 * budgets[0]:  # then powers of ten alone do not say where they are
                ax.set_xticks(budgets)
                ax.minorticks_off()
        handles = [Line2D([], [], label=label, **look) for label, _, look in rungs]
        handles.append(Line2D([], [], label="no bias found, at most this", **_BOUND))
        style.legend_below(figure, handles, columns=4)
    return figure


def _rungs(gradients: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, style.Look]]:
    """Label, rows and look of every rung, in the order of the legends."""
    for estimator, variant, lines in style.groups(gradients):
        plain = style.line_style(estimator, variant) | {"markersize": 4.5}
        others = cycle(_OTHERS)
        for critic, alike in lines.groupby("critic", sort=False):
            notes = sorted(dict.fromkeys(alike["note"].fillna("")), key=len)
            for place, note in enumerate(notes):
                look = plain | (_EXACT if critic == "exact" else {})
                if place:
                    look["marker"] = next(others)
                if look["marker"] == "x":  # has no face, only edges
                    look |= {"markeredgecolor": look["color"], "markeredgewidth": 1.0}
                label = ", ".join(filter(None, [style.label(estimator, variant), note]))
                yield label, alike[alike["note"].fillna("") == note], look


def _draw(row: list[Axes], line: pd.DataFrame, look: style.Look) -> None:
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
            # Nothing sampled may mean no error but rounding: a logarithmic axis would show that.
            if np.isfinite(value).all() and (ax is row[2] or (value > _ROUNDING).all()):
                ax.axhline(value.iloc[0], color=look["color"], linestyle=look["linestyle"])
        else:
            ax.plot(samples, value, **look)
    bounds = ~detected & (samples > 0)
    row[0].plot(samples[bounds], values[0][bounds], **_BOUND)


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
