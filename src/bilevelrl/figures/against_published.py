"""Our learning curves beside the published ones, in the paper's own statistic."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style
from bilevelrl.figures.learning_curves import Scale
from bilevelrl.figures.ticks import plain_log_ticks

_COLUMNS = 3
_MASKED: style.Look = {"linestyle": (0, (1.0, 1.0)), "linewidth": 1.4}
_PUBLISHED: style.Look = {"color": "black", "linestyle": (0, (2.0, 1.0)), "linewidth": 0.8}


def against_published(
    curves: pd.DataFrame, published: pd.DataFrame, masked: pd.DataFrame,
    objective: str, scale: Scale,
) -> Figure:  # fmt: skip
    """Mean ± standard error over seeds, ours and theirs; a mean is not robust, and neither is this.

    Args:
        curves: columns estimator, variant, budget, update, mean, standard_error of one temperature.
        published: columns estimator, budget, update, leader_return, standard_error.
        masked: columns estimator, budget, update, masked_mean: ours without the seeds that the
            published curves leave out, where they leave out some.
        objective: what J is called on the vertical axis.
        scale: of the vertical axis.

    Returns:
        A panel per published curve that we have too; a placeholder if there is none.
    """
    ours = curves[curves["variant"] == "published"]
    pairs = [
        (estimator, budget, rows, theirs)
        for estimator in style.estimator_order(published["estimator"])
        for budget, theirs in published[published["estimator"] == estimator].groupby("budget")
        if len(rows := ours[(ours["estimator"] == estimator) & (ours["budget"] == budget)])
    ]
    if not pairs:
        return style.placeholder("Comparison with published curves")
    num_columns = 2 if len(pairs) == 4 else min(_COLUMNS, len(pairs))
    num_rows = -(-len(pairs) // num_columns)
    with style.theme():
        figure, axes = style.new_figure(
            2.6 * num_columns + 1.0, 2.5 * num_rows + 0.7, num_rows, num_columns,
            sharex=True, sharey=True,
        )  # fmt: skip
        panels = [ax for row in axes for ax in row]
        for ax, (estimator, budget, rows, theirs) in zip(panels, pairs, strict=False):
            ax.set_yscale(scale)
            colour = style.look(estimator).colour
            _curve(ax, rows, "mean", {"color": colour, "linewidth": 1.6})
            _curve(ax, theirs, "leader_return", _PUBLISHED)
            likewise = masked[(masked["estimator"] == estimator) & (masked["budget"] == budget)]
            if len(likewise):
                ordered = likewise.sort_values("update")
                ax.plot(ordered["update"], ordered["masked_mean"], color=colour, **_MASKED)
            ax.set_title(f"{style.label(estimator)}\n{budget} transitions per update")
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        for ax in panels[len(pairs) :]:
            ax.set_axis_off()
        for row in axes:
            if scale == "log":
                plain_log_ticks(row[0])
            row[0].set_ylabel(f"{objective}\nmean ± SE over seeds")
        for ax in panels[max(len(pairs) - num_columns, 0) : len(pairs)]:
            ax.set_xlabel("leader updates")
            ax.tick_params(labelbottom=True)
        handles = [
            Line2D([], [], color="0.4", linewidth=1.6, label="ours, in the estimator's colour"),
            Line2D([], [], label="published", **_PUBLISHED),
            style.band_handle("± one standard error"),
        ]
        if len(masked):
            text = "ours, extreme seeds left out likewise"
            handles.insert(1, Line2D([], [], color="0.4", label=text, **_MASKED))
        style.legend_below(figure, handles, columns=2 if len(masked) else 3)
    return figure


def _curve(ax: Axes, rows: pd.DataFrame, column: str, look: style.Look) -> None:
    ordered = rows.sort_values("update")
    update, middle = ordered["update"], ordered[column]
    low = middle - ordered["standard_error"]
    if ax.get_yscale() == "log":  # a band that reaches zero ends at a small share of the mean
        low = low.clip(lower=0.05 * middle)
    style.draw_band(ax, update, low, middle + ordered["standard_error"], look["color"])
    ax.plot(update, middle, **look)
