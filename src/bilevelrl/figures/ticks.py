"""Ticks of logarithmic axes in plain numbers."""

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter, StrMethodFormatter

#: Within a power of ten, about equally far apart on a logarithmic axis.
_EVEN = (1.0, 2.0, 5.0)


def plain_log_ticks(ax: Axes) -> None:
    """Label powers of ten on a logarithmic vertical axis; also 2 and 5 where it spans little.

    Plain numbers up to a million, powers beyond.
    """
    low, high = ax.get_ylim()
    steps = _EVEN if high < 1e3 * low else (1.0,)
    _set_ticks(ax.yaxis, 8, steps, "{x:g}" if high < 1e6 else "")


def log_ticks(axis: Axis) -> None:
    """Powers of ten, or where hardly two are in sight, multiples of these in plain numbers.

    1, 2 and 5 times where the axis spans little, else 1 and 3 times, which have room beside each
    other in a small panel.
    """
    low, high = axis.get_view_interval()
    few = high < 50.0 * low
    steps = _EVEN if high < 25.0 * low else (1.0, 3.0)
    _set_ticks(axis, 6, steps if few else (1.0,), "{x:,g}" if few else "")


def _set_ticks(axis: Axis, number: int, steps: tuple[float, ...], plain: str) -> None:
    axis.set_major_locator(LogLocator(subs=steps, numticks=number))
    axis.set_major_formatter(StrMethodFormatter(plain) if plain else LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())
