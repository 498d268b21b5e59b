"""How every figure looks: one table of labels, colours and line styles, and byte-stable saving."""

import io
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike

from bilevelrl.core.atomic_files import write_atomically

LineStyle = str | tuple[int, tuple[float, ...]]
#: Keyword arguments of an artist.
Look = dict[str, Any]


@dataclass(frozen=True)
class EstimatorStyle:
    """How one estimator looks in every figure, and its name for people."""

    label: str
    colour: (
        str  # of Okabe and Ito's set without its yellow, if one is left: no other of its problem's
    )
    line: LineStyle  # a second cue beside the colour
    marker: str
    has_variants: bool = True  # False where all variants are the same


#: Order is that of legends and tables. Lines that coincide (SoBiRL is Naive in FourRooms) have
#: dash patterns that let the lower one through.
ESTIMATORS: dict[str, EstimatorStyle] = {
    "bc_hg": EstimatorStyle("BC-HG", "#D55E00", "-", "o"),
    "uncoupled": EstimatorStyle("BC-HG, no coupling", "#0072B2", "-", "s", False),
    "hpgd_mc": EstimatorStyle("HPGD (MC)", "#0072B2", "-", "s"),
    "hpgd_sa": EstimatorStyle("HPGD (SA)", "#56B4E9", "-", "D"),
    "hpgd_td": EstimatorStyle("HPGD (TD)", "#56B4E9", (0, (4.0, 1.5)), "D"),
    "hpgd_oracle": EstimatorStyle("HPGD (oracle)", "#009E73", "-", "^"),
    "sobirl": EstimatorStyle("SoBiRL", "#CC79A7", "-", "v"),
    "naive": EstimatorStyle("Naive-PGD", "#7F7F7F", (0, (3.0, 3.0)), "P"),
    "naive_on": EstimatorStyle("Naive-PGD (on-policy)", "#0072B2", "-", "s"),
    "naive_off": EstimatorStyle("Naive-PGD (off-policy)", "#56B4E9", (0, (4.0, 1.5)), "D"),
    "bi_ac_on": EstimatorStyle("Bi-AC (on-policy)", "#009E73", "-", "^"),
    "bi_ac_off": EstimatorStyle("Bi-AC (off-policy)", "#CC79A7", (0, (4.0, 1.5)), "v"),
    "covariance": EstimatorStyle("BC-HG without adjoint", "#0072B2", "-", "s"),
    "direct": EstimatorStyle("Direct part only", "#7F7F7F", (0, (3.0, 3.0)), "P", False),
    "externality": EstimatorStyle("Externality update", "#009E73", "-", "^", False),
    "perturbed": EstimatorStyle("Perturbed follower", "#AA4499", "-", ">", False),
    "unrolled": EstimatorStyle("Unrolled follower", "#666633", (0, (2.0, 1.0)), "d", False),
    "zero_order": EstimatorStyle("Zero order", "#E69F00", (0, (6.0, 2.0)), "X"),
    "cma_es": EstimatorStyle("CMA-ES", "#8C510A", (0, (1.0, 2.0)), "p", False),
    "amd": EstimatorStyle("AMD", "#762A83", (0, (5.0, 1.0)), "<"),
    "exact": EstimatorStyle("Exact", "#000000", (0, (6.0, 1.5, 1.0, 1.5)), "h"),
    "exact_uncoupled": EstimatorStyle("Exact, no coupling", "#56B4E9", (0, (4.0, 1.5)), "D", False),
    "exact_naive": EstimatorStyle("Exact, direct part only", "#CC79A7", (0, (4.0, 1.5)), "v"),
    "random": EstimatorStyle("Leader that never learns", "#000000", (0, (1.0, 1.0)), "h", False),
}
#: Of estimators that have no style: from Tol's muted set.
_FURTHER_COLOURS = ("#332288", "#117733", "#882255", "#999933", "#44AA99")
#: Suffix of the label, how much of a marker is filled, and dashes of lines ("": the estimator's
#: own). `published` is the default and says nothing.
VARIANTS: dict[str, tuple[str, Literal["full", "none", "left"], LineStyle]] = {
    "published": ("", "full", ""),
    "corrected": (", corrected", "none", (0, (1.0, 1.2))),
    "improved": (", improved", "left", (0, (5.0, 1.0, 1.0, 1.0, 1.0, 1.0))),
}
MARKED = ("corrected", "improved")
CROSS: Look = {
    "linestyle": "none", "marker": "x", "color": "black", "markersize": 6.0, "zorder": 5,
}  # fmt: skip
BAND_ALPHA = 0.18
BEST_KNOWN_COLOUR = "#4D4D4D"
DPI = 150


def estimator_order(names: Iterable[str]) -> list[str]:
    """Names in the order of legends, those without a style of their own last."""
    present = set(names)
    return [name for name in ESTIMATORS if name in present] + sorted(present - set(ESTIMATORS))


def look(estimator: str) -> EstimatorStyle:
    """Of an estimator; one that `ESTIMATORS` does not have is told by its own name."""
    if estimator in ESTIMATORS:
        return ESTIMATORS[estimator]
    colour = _FURTHER_COLOURS[crc32(estimator.encode()) % len(_FURTHER_COLOURS)]
    return EstimatorStyle(estimator.replace("_", " ").capitalize(), colour, (0, (2.0, 1.0)), "*")


def variant_order(names: Iterable[str]) -> list[str]:
    """Names in the order of legends; unknown ones are refused.

    Raises:
        KeyError: if a variant has no style.
    """
    present = set(names)
    unknown = present - set(VARIANTS)
    if unknown:
        raise KeyError(f"no style for {sorted(unknown)}; add them to figures.style.VARIANTS")
    return [name for name in VARIANTS if name in present]


def groups(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(estimator, variant, rows) in the order of legends."""
    for estimator in estimator_order(table["estimator"]):
        rows = table[table["estimator"] == estimator]
        for variant in variant_order(rows["variant"]):
            yield estimator, variant, rows[rows["variant"] == variant]


def label(estimator: str, variant: str = "published") -> str:
    """Name of an estimator, with its variant, for people."""
    style = look(estimator)
    return style.label + (VARIANTS[variant][0] if style.has_variants else "")


def number(value: float, decimals: int) -> str:
    """A number in a label or a table, with the minus sign of the axes, which zero has not."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0.0 else text.replace("-", "−")


def line_style(estimator: str, variant: str = "published") -> Look:
    """Keyword arguments of a line with markers."""
    style = look(estimator)
    _, fill, dashes = VARIANTS[variant if style.has_variants else "published"]
    return {
        "color": style.colour,
        "linestyle": dashes or style.line,
        "marker": style.marker,
        "markerfacecolor": "white" if fill == "none" else style.colour,
        "markerfacecoloralt": "white",
        "fillstyle": "left" if fill == "left" else "full",
        "markeredgecolor": "white" if fill == "full" else style.colour,
        "markeredgewidth": 0.6 if fill == "full" else 1.0,
    }


@contextmanager
def theme() -> Iterator[None]:
    """The rcParams of every figure, for the duration of a `with` block."""
    parameters = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper"),
        "font.family": "DejaVu Sans",  # ships with matplotlib, so figures do not vary by machine
        "font.size": 9.0,
        "axes.labelsize": 9.0,
        "axes.titlesize": 9.5,
        "legend.fontsize": 8.5,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "axes.edgecolor": "0.6",
        "grid.color": "0.9",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.5,
        "lines.markersize": 5.5,
        "pdf.fonttype": 42,  # real text in the PDF
    }
    with matplotlib.rc_context(parameters):
        yield


def draw_intervals(ax: Axes, at: ArrayLike, rows: pd.DataFrame, look: Look) -> None:
    """Points at these places on the horizontal axis, from columns value, low and high."""
    errors = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
    ax.errorbar(at, rows["value"], np.maximum(errors, 0.0), **look)


def draw_band(ax: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: ColorType) -> None:
    """A shaded interval; `band_handle` is its entry in a legend."""
    ax.fill_between(x, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, list[list[Axes]]]:
    """A figure, in inches, with a rows × columns grid of axes that never overlap."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, [list(row) for row in axes]


def placeholder(what: str) -> Figure:
    """Stands for a figure whose study is not in the grid."""
    figure, ((ax,),) = new_figure(5.0, 1.6)
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"{what}: not in this grid", ha="center", va="center", fontsize=10.0)
    return figure


def legend_below(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """One legend for all panels, under them, in as many of the columns as the figure has room for.

    Args:
        figure: of these panels.
        handles: entries.
        columns: at most.
    """
    for number in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=number,
            frameon=False, handlelength=2.6, columnspacing=1.4,
        )  # fmt: skip
        if number == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def estimator_handles(table: pd.DataFrame, marked: Container[str] = MARKED) -> list[Artist]:
    """Legend entries of the estimators and variants of a table; markers on variants in `marked`."""
    handles = list[Artist]()
    for estimator, variant, _ in groups(table):
        look = line_style(estimator, variant) | ({} if variant in marked else {"marker": "none"})
        handles.append(Line2D([], [], label=label(estimator, variant), **look))
    return handles


def band_handle(text: str) -> Artist:
    """Legend entry of the shaded interval."""
    return Patch(facecolor="0.5", alpha=2.0 * BAND_ALPHA, label=text)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `folder`/png/`name`.png and `folder`/pdf/`name`.pdf, same bytes for the same figure.

    Both formats would otherwise record the software version and the PDF also the time. What takes
    longest, the arrangement of the axes, is done once.
    """
    png: Look = {"Software": None}
    pdf: Look = {"CreationDate": None, "Producer": None, "Creator": None}
    for suffix, options in (("png", {"dpi": DPI, "metadata": png}), ("pdf", {"metadata": pdf})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, **options)
        figure.set_layout_engine("none")
        write_atomically(folder / suffix / f"{name}.{suffix}", buffer.getvalue())
