"""Does a leader escape "charge nothing", and is it the start or the noise that lets it?"""

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.figures.study import draw_study

_METRICS = {
    "leader_return_final_iqm": "final leader return J(θ)",
    "stuck_fraction": "share of seeds stuck\nat “charge nothing”",
}


def initial_spread(summary: pd.DataFrame) -> Figure:
    """Final J and stuck share against the spread of the initial θ.

    Args:
        summary: columns estimator, variant, budget, initial_spread, metric, value, low, high of one
            temperature. Estimators with budget 0 appear beside every budget.

    Returns:
        A row per metric, a column per budget; a placeholder if there is nothing to draw.
    """
    shown = summary[summary["metric"].isin(list(_METRICS))]
    budgets = sorted(set(shown["budget"]) - {0})
    if not budgets:
        return style.placeholder("Initial spread")
    with style.theme():
        width, shape = max(3.6 * len(budgets), 4.6), (len(_METRICS), len(budgets))
        figure, axes = style.new_figure(width, 5.2, *shape, sharex=True, sharey="row")
        for row, (metric, text) in zip(axes, _METRICS.items(), strict=True):
            for ax, budget in zip(row, budgets, strict=True):
                chosen = (shown["metric"] == metric) & shown["budget"].isin([budget, 0])
                draw_study(ax, shown[chosen], "initial_spread")
            row[0].set_ylabel(text)
        axes[1][0].set_ylim(-0.05, 1.05)
        for ax, budget in zip(axes[0], budgets, strict=True):
            ax.set_title(f"{budget} transitions per update")
        for ax in axes[-1]:
            ax.set_xlabel("standard deviation of the initial θ (log scale)")
        handles = style.estimator_handles(shown, marked=style.VARIANTS)
        style.legend_below(figure, handles, columns=2)
    return figure
