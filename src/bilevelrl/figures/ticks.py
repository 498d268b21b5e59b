"""Ticks of logarithmic axes in plain numbers."""

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter, StrMethodFormatter


def plain_log_ticks(ax: Axes) -> None:
    """Label powers of ten on a logarithmic vertical axis; also 2 and 5 where it spans little.

    Plain numbers up to a million, powers beyond.
    """
    low, high = ax.get_ylim()
    _set_ticks(ax.yaxis, 8, between=high < 1e3 * low, plain="{x:g}" if high < 1e6 else "")


def log_ticks(axis: Axis) -> None:
    """Powers of ten, or where hardly two are in sight, 1, 2 and 5 times these in plain numbers."""
    low, high = axis.get_view_interval()
    few = high < 50.0 * low
    _set_ticks(axis, 6, between=few, plain="{x:,g}" if few else "")


def _set_ticks(axis: Axis, number: int, *, between: bool, plain: str) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if between else (1.0,), numticks=number))
    axis.set_major_formatter(StrMethodFormatter(plain) if plain else LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())
