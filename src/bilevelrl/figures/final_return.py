"""The paper's message in one picture: where each estimator ends, against what its samples cost."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.figures.learning_curves import best_known_style


def final_return(
    summary: pd.DataFrame, published: pd.DataFrame, best_known: pd.DataFrame
) -> Figure:
    """Final J against transitions per update.

    Args:
        summary: columns estimator, variant, budget, metric, value, low, high; main comparison at
            one temperature. Drawn: leader_return_final_iqm. Budget 0 gives a horizontal line.
        published: columns estimator, budget, published_mean; crosses.
        best_known: columns variant, best_known.

    Returns:
        One panel; a placeholder if there is nothing to draw.
    """
    final = summary[summary["metric"] == "leader_return_final_iqm"]
    sampled = final[final["budget"] > 0]
    if sampled.empty:
        return style.placeholder("Final return")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 4.2)
        shift = _shifts(sampled)
        for estimator, variant, rows in style.groups(sampled):
            ordered = rows.sort_values("budget")
            at = ordered["budget"] * shift[estimator, variant]
            errors = [ordered["value"] - ordered["low"], ordered["high"] - ordered["value"]]
            look = style.line_style(estimator, variant)
            ax.errorbar(
                at, ordered["value"], np.maximum(errors, 0.0), elinewidth=1.2, capsize=2.5, **look
            )
            if variant == "published":
                dots = published[published["estimator"] == estimator]
                ax.plot(
                    dots["budget"] * shift[estimator, variant], dots["published_mean"], **_CROSS
                )
        for estimator, variant, rows in style.groups(final[final["budget"] == 0]):
            look = style.line_style(estimator, variant)
            ax.axhline(rows["value"].iloc[0], color=look["color"], linestyle=look["linestyle"])
        for variant, value in zip(best_known["variant"], best_known["best_known"], strict=True):
            ax.axhline(value, **best_known_style(variant))
        _decorate(ax, sorted(set(sampled["budget"])))
        _legend(figure, final, best_known, with_published=not published.empty)
    return figure


_CROSS: dict[str, Any] = {
    "linestyle": "none", "marker": "x", "color": "black", "markersize": 6.0, "zorder": 5,
}  # fmt: skip


def _shifts(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Small factors on the horizontal axis, so that intervals stand side by side."""
    names = [(estimator, variant) for estimator, variant, _ in style.groups(table)]
    factors = np.geomspace(0.88, 1.0 / 0.88, len(names)) if len(names) > 1 else np.ones(1)
    return dict(zip(names, factors.tolist(), strict=True))


def _decorate(ax: Axes, budgets: list[int]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(budgets, [str(budget) for budget in budgets])
    ax.minorticks_off()
    ax.set_xlabel("transitions per update (log scale)")
    ax.set_ylabel("final leader return J(θ)\nIQM over seeds, with its interval")


def _legend(
    figure: Figure, final: pd.DataFrame, best_known: pd.DataFrame, *, with_published: bool
) -> None:
    sampled, exact = final[final["budget"] > 0], final[final["budget"] == 0]
    handles = style.estimator_handles(sampled, marked=style.VARIANTS)
    handles += style.estimator_handles(exact, marked=())
    if with_published:
        handles.append(Line2D([], [], label="published mean", **_CROSS))
    for variant in style.variant_order(best_known["variant"]):
        text = "best known J" + style.VARIANTS[variant][0]
        handles.append(Line2D([], [], label=text, **best_known_style(variant)))
    figure.legend(handles=handles, loc="outside right center", frameon=False, handlelength=2.8)
