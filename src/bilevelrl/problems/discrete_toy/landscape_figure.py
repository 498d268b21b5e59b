"""Why a leader that ignores the follower's reaction falls off the cliff: J(q) and who walks where.

J of the toy depends on one number, q = f(1 | A), the probability with which the leader sends the
follower home from state A. It rises slowly with q until the follower no longer comes to A.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

_COLUMNS = 5
#: Variants of the landscape: the released code's follower, and an exact one.
_FOLLOWERS = ("published", "corrected")
Look = dict[str, Any]
_OWN: Look = {"color": "0.35", "linewidth": 1.3, "zorder": 2}
_OTHER: Look = {"color": "0.65", "linewidth": 0.9, "linestyle": (0, (3.0, 2.0))}
_BEST: Look = {"color": "0.35", "linewidth": 0.9, "linestyle": (0, (1.0, 1.5))}
_START: Look = {
    "linestyle": "none", "marker": "o", "markersize": 4.5, "markerfacecolor": "white",
    "markeredgecolor": "0.2", "markeredgewidth": 0.9, "zorder": 4,
}  # fmt: skip
_END: Look = {
    "linestyle": "none", "marker": "o", "markersize": 5.5, "markeredgecolor": "white",
    "markeredgewidth": 0.6, "zorder": 5,
}  # fmt: skip


def toy_landscape(landscape: pd.DataFrame, trajectories: pd.DataFrame, objective: str) -> Figure:
    """Per estimator: J(q) with starts and ends of all seeds, and below it q against updates.

    Args:
        landscape: columns variant, probability, leader_return.
        trajectories: columns estimator, variant, seed, update, value (q), leader_return.
        objective: what J is called on the vertical axis.

    Returns:
        At most five estimators side by side; a placeholder if there is nothing to draw.
    """
    panels = list(style.groups(trajectories))
    if not panels or landscape.empty:
        return style.placeholder("J(q) and trajectories")
    num_columns = min(_COLUMNS, len(panels))
    num_blocks = -(-len(panels) // num_columns)
    legend_columns = 4 if num_columns > 3 else 2
    with style.theme():
        figure, axes = style.new_figure(
            max(1.75 * num_columns + 0.8, 4.4), 3.3 * num_blocks + 1.4 - 0.2 * legend_columns,
            2 * num_blocks, num_columns, sharex=True,
        )  # fmt: skip
        above = [ax for row in axes[::2] for ax in row]
        below = [ax for row in axes[1::2] for ax in row]
        for top, bottom, panel in zip(above, below, panels, strict=False):
            _draw(top, bottom, landscape, *panel)
        for ax in above[len(panels) :] + below[len(panels) :]:
            ax.set_axis_off()
        last_update = max(int(trajectories["update"].max()), 1)
        _decorate(axes, landscape, objective, last_update)
        for ax in below[max(len(panels) - num_columns, 0) : len(panels)]:
            ax.set_xlabel("q = f(1 | A)")
            ax.tick_params(labelbottom=True)
        style.legend_below(figure, _handles(), columns=legend_columns)
    return figure


def _draw(
    top: Axes, bottom: Axes, landscape: pd.DataFrame, estimator: str, variant: str,
    rows: pd.DataFrame,
) -> None:  # fmt: skip
    colour = style.look(estimator).colour
    own = "published" if variant == "published" else "corrected"
    for follower in _FOLLOWERS:
        curve = landscape[landscape["variant"] == follower]
        look = _OWN if follower == own else _OTHER
        top.plot(curve["probability"], curve["leader_return"], **look)
    curve = landscape[landscape["variant"] == own]
    best = curve["probability"].iloc[int(np.argmax(curve["leader_return"]))]
    for ax in (top, bottom):
        ax.axvline(best, **_BEST)
    wide = rows.pivot(index="update", columns="seed", values="value")
    middle = wide.median(axis=1)
    # The median's way, on the curve: thick.
    way = np.interp(middle, curve["probability"], curve["leader_return"])
    top.plot(middle, way, color=colour, linewidth=3.5, alpha=0.55, solid_capstyle="butt", zorder=3)
    for update, look in ((wide.index[0], _START), (wide.index[-1], _END)):
        at = rows[rows["update"] == update]
        top.plot(at["value"], at["leader_return"], **{"markerfacecolor": colour, **look})
    bottom.plot(wide, wide.index, color=colour, linewidth=0.6, alpha=0.5)
    bottom.plot(middle, wide.index, color=colour, linewidth=2.2)
    top.set_title(style.label(estimator, variant).replace(" (", "\n(").replace(", ", "\n"))


def _decorate(
    axes: list[list[Axes]], landscape: pd.DataFrame, objective: str, last_update: int
) -> None:
    reach = landscape["leader_return"].max()
    limits = ((-0.06 * reach, 1.1 * reach), (last_update, 0))
    for number, row in enumerate(axes):
        for ax in row:
            ax.set_xlim(0.0, 1.0)
            ax.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
            ax.tick_params(labelleft=ax is row[0])
            ax.set_ylim(*limits[number % 2])
        row[0].set_ylabel("leader updates" if number % 2 else objective.replace(" ", "\n", 1))


def _handles() -> list[Artist]:
    return [
        Line2D([], [], label="J(q), own follower", **_OWN),
        Line2D([], [], label="J(q), the other follower", **_OTHER),
        Line2D([], [], label="optimum", **_BEST),
        Line2D([], [], label="a seed", color="0.5", linewidth=0.8),
        Line2D([], [], label="start of a seed", **_START),
        Line2D([], [], label="its end", markerfacecolor="0.4", **_END),
        Line2D([], [], label="median over seeds", color="0.5", linewidth=2.8),
    ]
