"""Panels of a study: a metric with its interval against one condition, one line per estimator."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bilevelrl.figures import style


def draw_study(ax: Axes, rows: pd.DataFrame, x: str) -> None:
    """Draw one metric on a logarithmic condition.

    Args:
        ax: where to draw.
        rows: columns estimator, variant, `x`, value, low, high of one metric; nothing is drawn of
            none.
        x: the condition's column, positive.
    """
    if rows.empty:
        return
    names = [(estimator, variant) for estimator, variant, _ in style.groups(rows)]
    # Side by side: each line moves by up to 3 % of the axis, measured on its logarithm.
    reach = 0.03 * np.log10(rows[x].max() / rows[x].min())
    shifts = np.logspace(-reach, reach, len(names)) if len(names) > 1 else np.ones(1)
    for shift, (estimator, variant, line) in zip(shifts, style.groups(rows), strict=True):
        ordered = line.sort_values(x)
        errors = [ordered["value"] - ordered["low"], ordered["high"] - ordered["value"]]
        ax.errorbar(
            ordered[x] * shift,
            ordered["value"],
            np.maximum(errors, 0.0),
            elinewidth=1.1,
            capsize=2.0,
            **style.line_style(estimator, variant),
        )
    ticks = sorted(set(rows[x]))
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
