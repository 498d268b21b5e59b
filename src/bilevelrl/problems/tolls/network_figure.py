"""Sioux Falls before and after: tolls as width, congestion as colour."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.problems.tolls.picture import COLOURS, POSITIONS, RATIOS

#: Distance of a road's two directions from its middle, in columns of the drawing.
_APART = 0.075
#: Line widths in points: of a road without toll, and more for each minute of toll.
_THIN, _PER_MINUTE = 1.6, 0.9


def networks(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """The roads under several tolls.

    Args:
        panels: title to columns `problems.tolls.links.LINK_COLUMNS`; a placeholder if there are no
            rows in one of them.
    """
    if any(table.empty for table in panels.values()):
        return style.placeholder("Roads with tolls")
    norm, colours = LogNorm(RATIOS[0], RATIOS[-1], clip=True), _colour_map()
    with style.theme():
        figure, (row,) = style.new_figure(2.9 * len(panels) + 0.8, 4.2, 1, len(panels))
        for ax, (title, table) in zip(row, panels.items(), strict=True):
            _draw(ax, table, norm, colours)
            ax.set_title(title)
        bar = figure.colorbar(ScalarMappable(norm, colours), ax=row, shrink=0.8, aspect=30)
        bar.set_label("travel time over that of the empty road")
        bar.set_ticks(RATIOS, labels=[f"{ratio:g}" for ratio in RATIOS])
        bar.minorticks_off()
        handles = [
            Line2D([], [], color="0.5", linewidth=_THIN + _PER_MINUTE * toll, label=text)
            for toll, text in ((0.0, "no toll"), (2.0, "2 minutes"), (5.0, "5 minutes"))
        ]
        style.legend_below(figure, handles, columns=3)
    return figure


def _draw(ax: Axes, table: pd.DataFrame, norm: LogNorm, colours: LinearSegmentedColormap) -> None:
    begins, stops = POSITIONS[table["tail"]], POSITIONS[table["head"]]
    along = (stops - begins) / np.linalg.norm(stops - begins, axis=1, keepdims=True)
    aside = _APART * np.stack([along[:, 1], -along[:, 0]], axis=1)  # traffic keeps to the right
    lines = LineCollection(
        list(np.stack([begins + aside, stops + aside], axis=1)),
        linewidths=_THIN + _PER_MINUTE * table["toll"],
        array=table["time_ratio"].to_numpy(),
        norm=norm,
        cmap=colours,
        capstyle="butt",
    )
    ax.add_collection(lines)
    ax.plot(*POSITIONS.T, linestyle="none", marker="o", markersize=9.0, color="white",
            markeredgecolor="0.3", markeredgewidth=0.8)  # fmt: skip
    for node, (x, y) in enumerate(POSITIONS, start=1):  # as the tables number them
        ax.annotate(str(node), (x, y), ha="center", va="center_baseline", fontsize=6.0)
    ax.set_axis_off()
    ax.set_aspect(0.8)


def _colour_map() -> LinearSegmentedColormap:
    place = np.log(RATIOS) / np.log(RATIOS[-1])
    stops = list(zip(place, [tuple(colour / 255.0) for colour in COLOURS], strict=True))
    return LinearSegmentedColormap.from_list("congestion", stops)
