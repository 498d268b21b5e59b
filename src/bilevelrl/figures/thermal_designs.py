"""Designs of building thermal control: random ones in a histogram, three of them as a picture."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bilevelrl.figures import style

_NUM_BINS = 30
_EXACT, _SAMPLED = "#0072B2", "#E69F00"
#: Lower left corners of the zones' rooms, around the ring.
_CORNERS = ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0))
_WALL, _AIR = "#8C510A", "#56B4E9"


def random_designs(designs: pd.DataFrame, published: pd.DataFrame, best_known: float) -> Figure:
    """How J of uniformly drawn designs is distributed, exactly and as a few episodes show it.

    Args:
        designs: columns leader_return, leader_return_sampled.
        published: columns low, high, count of the published histogram of sampled returns.
        best_known: J of the best known design.

    Returns:
        One panel; a placeholder if there are no designs.
    """
    if designs.empty:
        return style.placeholder("Random designs")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 3.8)
        bins = _common_bins(designs["leader_return_sampled"], designs["leader_return"])
        for column, text, colour in (
            ("leader_return_sampled", "mean of 50 episodes", _SAMPLED),
            ("leader_return", "exact J", _EXACT),
        ):
            values = designs[column]
            label = (
                f"{text}: mean {values.mean():.1f}, SD {values.std():.1f}, max {values.max():.1f}"
            )
            ax.hist(values, bins, color=colour, alpha=0.45, label=label)
        if len(published):
            share = len(designs) / published["count"].sum()
            edges = [*published["low"], published["high"].iloc[-1]]
            look: dict[str, Any] = {
                "color": "black",
                "linewidth": 1.0,
                "label": "published (50 episodes)",
            }
            ax.stairs(published["count"] * share, edges, **look)
        ax.axvline(
            best_known, color=style.BEST_KNOWN_COLOUR, linestyle=(0, (8.0, 2.0)), linewidth=1.0,
            label=f"best known J ({best_known:.1f})",
        )  # fmt: skip
        ax.set_xlabel("leader return")
        ax.set_ylabel(f"designs of {len(designs):,} per bin")
        ax.legend(loc="upper left", frameon=False)
    return figure


def _common_bins(sampled: pd.Series, exact: pd.Series) -> list[float]:
    """30 equal bins over the sampled returns (spec section 12), and more where J needs them."""
    width = (sampled.max() - sampled.min()) / _NUM_BINS
    before = int(np.ceil(max(0.0, sampled.min() - exact.min()) / width))
    after = int(np.ceil(max(0.0, exact.max() - sampled.max()) / width))
    edges: list[float] = (
        sampled.min() + width * np.arange(-before, _NUM_BINS + after + 1)
    ).tolist()
    return edges


def buildings(designs: pd.DataFrame, names: dict[str, str]) -> Figure:
    """Four rooms in a ring: outer walls as thick as the insulation, doors as wide as the airflow.

    Args:
        designs: columns design, leader_return, alpha1 to alpha4, beta1 to beta4.
        names: designs to draw, and their titles.

    Returns:
        A panel per design; a placeholder if there is none of them.
    """
    shown = designs[designs["design"].isin(list(names))].set_index("design")
    if shown.empty:
        return style.placeholder("Buildings")
    with style.theme():
        figure, axes = style.new_figure(2.9 * len(shown) + 0.2, 3.6, 1, len(shown))
        for ax, name in zip(axes[0], [name for name in names if name in shown.index], strict=True):
            row: dict[Any, Any] = shown.loc[name].to_dict()
            _building(
                ax,
                [row[f"alpha{zone}"] for zone in range(1, 5)],
                [row[f"beta{zone}"] for zone in range(1, 5)],
            )
            ax.set_title(f"{names[name]}\nJ = {row['leader_return']:.1f}")
        figure.text(
            0.5, 0.01, "brown: insulation α of a zone    blue: airflow β between neighbours",
            ha="center", va="bottom", fontsize=8.5,
        )  # fmt: skip
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
        centre = (x + (0.42 if x == 0.0 else 0.58), y + (0.42 if y == 0.0 else 0.58))
        ax.text(*centre, f"zone {zone}\nα = {level:.2f}", ha="center", va="center", fontsize=8.5)
    doors = (((1.0, 1.5), False), ((1.5, 1.0), True), ((1.0, 0.5), False), ((0.5, 1.0), True))
    for ((x, y), flat), level in zip(doors, airflow, strict=True):
        width = 0.02 + 0.68 * level
        size = (width, 0.07) if flat else (0.07, width)
        corner = (x - 0.5 * size[0], y - 0.5 * size[1])
        ax.add_patch(Rectangle(corner, *size, facecolor=_AIR, edgecolor="none", zorder=3))
        ax.text(
            x, y, f"β = {level:.2f}", ha="center", va="center", fontsize=7.5, zorder=4,
            rotation=0 if flat else 90,
            bbox={"facecolor": "white", "alpha": 0.6, "linewidth": 0.0, "pad": 0.8},
        )  # fmt: skip
    ax.set_xlim(-0.25, 2.25)
    ax.set_ylim(-0.25, 2.25)
    ax.set_aspect("equal")
    ax.set_axis_off()
