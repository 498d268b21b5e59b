"""Panels of a study: a metric with its interval against one condition, one line per estimator."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bilevelrl.figures import style


def draw_study(ax: Axes, rows: pd.DataFrame, x: str) -> None:
    """Draw one metric on a logarithmic condition, whose column `x` is positive.

    The other columns: estimator, variant, value, low, high. Nothing is drawn of no rows.
    """
    if rows.empty:
        return
    lines = list(style.groups(rows))
    # Side by side: each line moves by up to 3 % of the axis, measured on its logarithm.
    reach = 0.03 * np.log10(rows[x].max() / rows[x].min())
    shifts = np.logspace(-reach, reach, len(lines)) if len(lines) > 1 else np.ones(1)
    for shift, (estimator, variant, line) in zip(shifts, lines, strict=True):
        ordered = line.sort_values(x)
        look = style.line_style(estimator, variant) | {"elinewidth": 1.1, "capsize": 2.0}
        style.draw_intervals(ax, ordered[x] * shift, ordered, look)
    ticks = sorted(set(rows[x]))
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
