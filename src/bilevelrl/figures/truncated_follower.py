"""Leaders that learn from a follower which has not finished learning."""

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.figures.study import draw_study

_METRICS = {
    "leader_return_optimal_mean": "final J(θ) if the\nfollower played its optimum",
    "follower_kl": "KL(played ‖ optimal),\nmean over states",
}
_STARTS = {"carry": "starts from its last answer", "reset": "starts from random values"}


def truncated_follower(summary: pd.DataFrame, work: str = "policy iterations") -> Figure:
    """Final J under the optimal response, and the follower's distance from it, in rows.

    Of columns estimator, variant, policy_iterations, start, metric, value, low, high of the study
    at one temperature and budget; a column per start, a placeholder if there is nothing to draw.
    `work` is what the follower does `policy_iterations` times per update.
    """
    starts = [start for start in _STARTS if start in set(summary["start"])]
    shown = summary[summary["metric"].isin(list(_METRICS)) & summary["start"].isin(starts)]
    if shown.empty:
        return style.placeholder("Truncated follower")
    with style.theme():
        figure, axes = style.new_figure(
            7.2, 5.2, len(_METRICS), len(starts), sharex=True, sharey="row"
        )
        for row, (metric, text) in zip(axes, _METRICS.items(), strict=True):
            for ax, start in zip(row, starts, strict=True):
                panel = shown[(shown["metric"] == metric) & (shown["start"] == start)]
                draw_study(ax, panel, "policy_iterations")
                if metric == "follower_kl" and (panel["value"] > 0.0).any():
                    ax.set_yscale("log")
            row[0].set_ylabel(text)
        for ax, start in zip(axes[0], starts, strict=True):
            ax.set_title(f"follower {_STARTS[start]}")
        for ax in axes[-1]:
            ax.set_xlabel(f"{work} per leader update")
        handles = style.estimator_handles(shown, marked=style.VARIANTS)
        style.legend_below(figure, handles, columns=4)
    return figure
