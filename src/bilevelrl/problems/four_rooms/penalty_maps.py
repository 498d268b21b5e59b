"""What the leaders learned: penalties on the map, and the way the follower then takes."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from bilevelrl.figures import style

_COLUMNS = 5
_WALL = "0.75"
#: The paper's scale: linear up to 0.001 per step, then logarithmic to the whole budget on one cell.
_NORM = SymLogNorm(linthresh=0.001, vmin=-0.2, vmax=0.0)
_COLOURS = "PuRd_r"
_NOTE = (
    "{budget} transitions per update, first seed. kept: share of the penalty budget that the "
    "leader does not spend; arrows: the follower's likeliest way from S without slips, at most "
    "30 steps"
)
_DISC = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "0.35", "linewidth": 0.6}


def penalty_maps(maps: pd.DataFrame, marks: dict[str, tuple[int, int]]) -> Figure:
    """One map per estimator and variant.

    Args:
        maps: columns estimator, variant, budget, kind, index, row, column, value of one budget and
            temperature, with kinds "cell" (value: penalty), "path" (index: step) and "kept".
        marks: letter -> (row, column) to write on every map.

    Returns:
        At most five maps per row and a colour bar; a placeholder if there is nothing to draw.
    """
    panels = list(style.groups(maps))
    if not panels:
        return style.placeholder("Penalty maps")
    num_columns = min(_COLUMNS, len(panels))
    num_rows = -(-len(panels) // num_columns)
    with style.theme():
        figure, axes = style.new_figure(
            1.75 * num_columns + 1.1, 2.15 * num_rows + 0.5, num_rows, num_columns
        )
        flat = [ax for row in axes for ax in row]
        for ax in flat:
            ax.set_axis_off()
        for ax, (estimator, variant, rows) in zip(flat, panels, strict=False):
            _draw_map(ax, rows, marks)
            kept = rows.loc[rows["kind"] == "kept", "value"].iloc[0]
            title = f"{style.label(estimator, variant)}\nkept {100.0 * kept:.0f} %"
            ax.set_title(title, fontsize=8.5)
        scale = ScalarMappable(_NORM, _COLOURS)
        bar = figure.colorbar(scale, ax=flat, shrink=0.8, aspect=30, pad=0.02)
        bar.set_label("penalty per step on the cell")
        ticks = ["−0.2", "−0.1", "−0.01", "−0.001", "0"]
        bar.set_ticks([-0.2, -0.1, -0.01, -0.001, 0.0], labels=ticks)
        bar.ax.minorticks_off()
        # About 13 characters of this size fit an inch.
        note = fill(_NOTE.format(budget=maps["budget"].max()), int(13 * figure.get_figwidth()))
        figure.supxlabel(note, fontsize=8.5)
    return figure


def _draw_map(ax: Axes, rows: pd.DataFrame, marks: dict[str, tuple[int, int]]) -> None:
    cells = rows[rows["kind"] == "cell"]
    image = np.full((cells["row"].max() + 2, cells["column"].max() + 2), np.nan)
    image[cells["row"], cells["column"]] = cells["value"]
    ax.set_facecolor(_WALL)
    ax.patch.set_visible(True)
    ax.set_axis_on()
    ax.grid(visible=False)
    ax.set(xticks=[], yticks=[])
    ax.imshow(image, norm=_NORM, cmap=_COLOURS, interpolation="nearest")
    path = rows[rows["kind"] == "path"].sort_values("index")
    column, row = path["column"].to_numpy(), path["row"].to_numpy()
    ax.quiver(
        column[:-1], row[:-1], np.diff(column), np.diff(row),
        angles="xy", scale_units="xy", scale=1.0, width=0.014, headwidth=3.2, headlength=3.4,
        headaxislength=3.4, color="0.35", zorder=3,
    )  # fmt: skip
    for letter, (mark_row, mark_column) in marks.items():
        ax.text(
            mark_column, mark_row, letter, ha="center", va="center", bbox=_DISC,
            fontsize=8.0, fontweight="bold",
        )  # fmt: skip
