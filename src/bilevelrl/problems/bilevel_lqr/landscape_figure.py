"""J over the leader's two gains, and where every estimator leads."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bilevelrl.figures import style

_COLUMNS = 4
_LEVELS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0)
_START: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 3.5, "markerfacecolor": "white",
    "markeredgecolor": "0.2", "markeredgewidth": 0.8, "zorder": 4,
}  # fmt: skip
_END: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 5.0, "markeredgecolor": "white",
    "markeredgewidth": 0.6, "zorder": 5,
}  # fmt: skip
_BEST: dict[str, Any] = {
    "linestyle": "none", "marker": "*", "markersize": 13.0, "markerfacecolor": "#F0E442",
    "markeredgecolor": "black", "markeredgewidth": 0.7, "zorder": 4.5,
}  # fmt: skip


def lqr_landscape(landscape: pd.DataFrame, trajectories: pd.DataFrame, objective: str) -> Figure:
    """One map per estimator and variant, with the way of every seed.

    Args:
        landscape: columns k1, k2, leader_return on a grid; no value where the follower has no best
            response, which is drawn like the lowest one.
        trajectories: columns estimator, variant, seed, update, coordinate ("K1" or "K2"), value,
            leader_return.
        objective: what J is called on the colour bar.

    Returns:
        At most four maps per row; a placeholder if there is nothing to draw.
    """
    panels = list(style.groups(trajectories))
    if not panels or landscape.empty:
        return style.placeholder("J(K) and trajectories")
    num_columns = min(_COLUMNS, len(panels))
    num_rows = -(-len(panels) // num_columns)
    key = ["estimator", "variant", "seed", "update", "leader_return"]
    wide = trajectories.pivot(index=key, columns="coordinate", values="value").reset_index()
    best = _best(landscape, wide)
    with style.theme():
        figure, axes = style.new_figure(
            2.0 * num_columns + 1.3, 2.3 * num_rows + 0.7, num_rows, num_columns,
            sharex=True, sharey=True,
        )  # fmt: skip
        flat = [ax for row in axes for ax in row]
        for ax, (estimator, variant, rows) in zip(flat, style.groups(wide), strict=False):
            filled = _background(ax, landscape)
            _ways(ax, rows, style.look(estimator).colour)
            ax.plot(*best, **_BEST)
            title = style.label(estimator, variant).replace(" (", "\n(").replace(", ", "\n")
            ax.set_title(title + _missing(ax, rows))
        for ax in flat[len(panels) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel("K$_2$")
        for ax in flat[max(len(panels) - num_columns, 0) : len(panels)]:
            ax.set_xlabel("K$_1$")
            ax.tick_params(labelbottom=True)
        bar = figure.colorbar(filled, ax=flat, shrink=0.9, aspect=30, pad=0.02)
        bar.set_label(objective)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        handles = [
            Line2D([], [], label="start of a seed", **_START),
            Line2D([], [], label="a seed", color="0.4", linewidth=0.9),
            Line2D([], [], label="its end", markerfacecolor="0.4", **_END),
            Line2D([], [], label="highest J found", **_BEST),
        ]
        style.legend_below(figure, list[Artist](handles), columns=4 if num_columns > 1 else 2)
    return figure


def _background(ax: Axes, landscape: pd.DataFrame) -> QuadContourSet:
    # Greys that leave room for coloured lines on the darkest.
    greys = ListedColormap(matplotlib.colormaps["Greys"](np.linspace(0.02, 0.62, 256)))
    grid = landscape.pivot(index="k2", columns="k1", values="leader_return")
    ax.set_xlim(landscape["k1"].min(), landscape["k1"].max())
    ax.set_ylim(landscape["k2"].min(), landscape["k2"].max())
    ax.set_autoscale_on(False)
    return ax.contourf(
        grid.columns, grid.index, np.clip(grid.fillna(0.0), _LEVELS[0], _LEVELS[-1]),
        levels=list(_LEVELS), norm=LogNorm(_LEVELS[0], _LEVELS[-1]), cmap=greys,
    )  # fmt: skip


def _ways(ax: Axes, rows: pd.DataFrame, colour: str) -> None:
    for _, way in rows.groupby("seed"):
        ordered = way.sort_values("update")
        ax.plot(ordered["K1"], ordered["K2"], color=colour, linewidth=0.7, alpha=0.7, zorder=3)
    for update, look in ((rows["update"].min(), _START), (rows["update"].max(), _END)):
        at = rows[rows["update"] == update]
        ax.plot(at["K1"], at["K2"], **({"markerfacecolor": colour} | look))


def _missing(ax: Axes, rows: pd.DataFrame) -> str:
    """Says how many seeds end where the map does not reach."""
    ends = rows[rows["update"] == rows["update"].max()]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    seen = ends["K1"].between(left, right) & ends["K2"].between(bottom, top)
    return "" if seen.all() else f"\n{(~seen).sum()} of {len(seen)} end outside"


def _best(landscape: pd.DataFrame, wide: pd.DataFrame) -> tuple[float, float]:
    """The point with the highest J, of the grid and of everywhere a leader was."""
    seen = wide.rename(columns={"K1": "k1", "K2": "k2"})[["k1", "k2", "leader_return"]]
    points = pd.concat([landscape, seen], ignore_index=True)
    highest = points.iloc[int(np.argmax(points["leader_return"]))]
    return float(highest["k1"]), float(highest["k2"])
