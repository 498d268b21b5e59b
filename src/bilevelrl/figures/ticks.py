"""Ticks of logarithmic axes in plain numbers."""

from matplotlib.axes import Axes
from matplotlib.ticker import (
    LogFormatterMathtext,
    LogLocator,
    NullFormatter,
    StrMethodFormatter,
)


def plain_log_ticks(ax: Axes) -> None:
    """Label powers of ten on a logarithmic vertical axis; also 2 and 5 where it spans little.

    Plain numbers up to a million, powers beyond.
    """
    low, high = ax.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    plain = high < 1e6
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}") if plain else LogFormatterMathtext())
    ax.yaxis.set_minor_formatter(NullFormatter())
