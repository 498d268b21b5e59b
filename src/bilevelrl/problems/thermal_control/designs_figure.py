"""Designs of building thermal control: random ones in a histogram, three of them as a picture."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from bilevelrl.figures import style

_NUM_BINS = 30
_EXACT, _SAMPLED = "#0072B2", "#E69F00"
#: Lower left corners of the zones' rooms, around the ring.
_CORNERS = ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0))
_WALL, _AIR = "#8C510A", "#56B4E9"


def random_designs(designs: pd.DataFrame, published: pd.DataFrame, best_known: float) -> Figure:
    """How J of uniformly drawn designs is distributed, exactly and as a few episodes show it.

    Args:
        designs: columns leader_return, leader_return_sampled; a placeholder without rows.
        published: columns low, high, count of the published histogram of sampled returns.
        best_known: J of the best known design.
    """
    if designs.empty:
        return style.placeholder("Random designs")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 3.8)
        bins = _common_bins(designs[["leader_return_sampled", "leader_return"]], published)
        shown, exact = designs["leader_return_sampled"], designs["leader_return"]
        text = f"mean of a few episodes: {_moments(shown)}"
        ax.hist(shown, bins, label=text, color=_SAMPLED, alpha=0.6)
        text = f"exact J: {_moments(exact)}"
        ax.hist(exact, bins, label=text, color=_EXACT, linewidth=1.8, histtype="step")
        if len(published):
            share = len(designs) / published["count"].sum()
            edges = [*published["low"], published["high"].iloc[-1]]
            ax.stairs(published["count"] * share, edges, color="black", label="published, sampled")
        ax.axvline(
            best_known, color=style.BEST_KNOWN_COLOUR, linestyle=(0, (8.0, 2.0)), linewidth=1.0,
            label=f"best known J ({style.number(best_known, 1)})",
        )  # fmt: skip
        ax.set_xlabel("leader return")
        ax.set_ylabel(f"designs of {len(designs):,}\nper bin of width {bins[1] - bins[0]:.1f}")
        ax.legend(loc="upper left", frameon=False)
    return figure


def _moments(values: pd.Series) -> str:
    mean, largest = style.number(values.mean(), 1), style.number(values.max(), 1)
    return f"mean {mean}, SD {values.std():.1f}, max {largest}"


def _common_bins(returns: pd.DataFrame, published: pd.DataFrame) -> list[float]:
    """The published bins, and more of their width where our returns need them.

    Bins of another place or width hold other counts of the same returns. Without published ones,
    there are 30 over ours.
    """
    lowest, highest = float(returns.min().min()), float(returns.max().max())
    low, high, number = lowest, highest, _NUM_BINS
    if len(published):
        low, high, number = published["low"].min(), published["high"].max(), len(published)
    width = (high - low) / number
    before = int(np.ceil(max(0.0, low - lowest) / width))
    after = int(np.ceil(max(0.0, highest - high) / width))
    edges: list[float] = (low + width * np.arange(-before, number + after + 1)).tolist()
    return edges


def buildings(designs: pd.DataFrame, names: dict[str, str]) -> Figure:
    """Four rooms in a ring: outer walls as thick as the insulation, doors as wide as the airflow.

    Args:
        designs: columns design, leader_return, alpha1 to alpha4, beta1 to beta4.
        names: designs to draw, and their titles; a placeholder if there is none of them.
    """
    shown = designs[designs["design"].isin(list(names))].set_index("design")
    if shown.empty:
        return style.placeholder("Buildings")
    with style.theme():
        figure, axes = style.new_figure(2.9 * len(shown) + 0.2, 4.1, 1, len(shown))
        for ax, name in zip(axes[0], [name for name in names if name in shown.index], strict=True):
            row: dict[Hashable, float] = shown.loc[name].to_dict()
            _building(
                ax, *([row[f"{of}{zone}"] for zone in range(1, 5)] for of in ("alpha", "beta"))
            )
            ax.set_title(f"{names[name]}\nJ = {style.number(row['leader_return'], 1)}")
        handles = [
            Patch(facecolor=_WALL, label="outer wall: as thick as the insulation α of its zone"),
            Patch(facecolor=_AIR, label="opening: as wide as the airflow β between two zones"),
        ]
        style.legend_below(figure, list[Artist](handles), columns=2)
    return figure


def _building(ax: Axes, insulation: list[float], airflow: list[float]) -> None:
    for zone, ((x, y), level) in enumerate(zip(_CORNERS, insulation, strict=True), start=1):
        ax.add_patch(Rectangle((x, y), 1.0, 1.0, facecolor="white", edgecolor="0.4"))
        thick = 0.02 + 0.16 * level
        outer_x = x - thick if x == 0.0 else x + 1.0
        outer_y = y - thick if y == 0.0 else y + 1.0
        for corner, width, height in (
            ((outer_x, min(y, outer_y)), thick, 1.0 + thick),
            ((min(x, outer_x), outer_y), 1.0 + thick, thick),
        ):
            ax.add_patch(Rectangle(corner, width, height, facecolor=_WALL, edgecolor="none"))
        centre = (x + (0.42 if x == 0.0 else 0.6), y + (0.4 if y == 0.0 else 0.58))
        ax.text(*centre, f"zone {zone}\nα = {level:.2f}", ha="center", va="center", fontsize=8.5)
    doors = (((1.0, 1.5), False), ((1.5, 1.0), True), ((1.0, 0.5), False), ((0.5, 1.0), True))
    for ((x, y), flat), level in zip(doors, airflow, strict=True):
        width = 0.7 * level
        size = (width, 0.07) if flat else (0.07, width)
        corner = (x - 0.5 * size[0], y - 0.5 * size[1])
        ax.add_patch(Rectangle(corner, *size, facecolor=_AIR, edgecolor="none", zorder=3))
        beside = (x, y - 0.11) if flat else (x + 0.11, y)
        ax.text(
            *beside, f"β = {level:.2f}", ha="center", va="center", fontsize=8.5,
            rotation=0 if flat else 90,
        )  # fmt: skip
    ax.set_xlim(-0.25, 2.25)
    ax.set_ylim(-0.25, 2.25)
    ax.set_aspect("equal")
    ax.set_axis_off()
