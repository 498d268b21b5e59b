"""The paper's message in one picture: where each estimator ends, against what its samples cost."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.figures.learning_curves import best_known_handle, best_known_style


def final_return(
    summary: pd.DataFrame, published: pd.DataFrame, best_known: pd.DataFrame
) -> Figure:
    """Final J against transitions per update; a placeholder if there is nothing to draw.

    Args:
        summary: columns estimator, variant, budget, metric, value, low, high; main comparison at
            one temperature. Drawn: leader_return_final_iqm. Budget 0 gives a horizontal line.
        published: columns estimator, budget, published_mean; crosses.
        best_known: columns variant, best_known.
    """
    final = summary[summary["metric"] == "leader_return_final_iqm"]
    sampled, exact = final[final["budget"] > 0], final[final["budget"] == 0]
    if sampled.empty:
        return style.placeholder("Final return")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 4.2)
        lines = list(style.groups(sampled))
        # Small factors on the horizontal axis, so that intervals stand side by side.
        shifts = np.geomspace(0.88, 1.0 / 0.88, len(lines)) if len(lines) > 1 else np.ones(1)
        for shift, (estimator, variant, rows) in zip(shifts, lines, strict=True):
            ordered = rows.sort_values("budget")
            look = style.line_style(estimator, variant) | {"elinewidth": 1.2, "capsize": 2.5}
            style.draw_intervals(ax, ordered["budget"] * shift, ordered, look)
            if variant == "published":
                dots = published[published["estimator"] == estimator]
                ax.plot(dots["budget"] * shift, dots["published_mean"], **style.CROSS)
        for estimator, variant, rows in style.groups(exact):
            look = style.line_style(estimator, variant)
            ax.axhline(rows["value"].iloc[0], color=look["color"], linestyle=look["linestyle"])
        for variant, value in zip(best_known["variant"], best_known["best_known"], strict=True):
            ax.axhline(value, **best_known_style(variant))
        ax.set_xscale("log")
        budgets = sorted(set(sampled["budget"]))
        ax.set_xticks(budgets, [str(budget) for budget in budgets])
        ax.minorticks_off()
        ax.set_xlabel("transitions per update (log scale)")
        ax.set_ylabel("final leader return J(θ)\nIQM over seeds, with its interval")
        handles = style.estimator_handles(sampled, marked=style.VARIANTS)
        handles += style.estimator_handles(exact, marked=())
        if not published.empty:
            handles.append(Line2D([], [], label="published mean", **style.CROSS))
        handles += map(best_known_handle, style.variant_order(best_known["variant"]))
        figure.legend(handles=handles, loc="outside right center", frameon=False, handlelength=2.8)
    return figure
