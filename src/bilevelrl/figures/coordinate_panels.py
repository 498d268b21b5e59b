"""What a design or a play looks like over the updates, in a few numbers."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style


def coordinate_panels(
    trajectories: pd.DataFrame, labels: dict[str, str], columns: int, what: str,
    limits: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """A panel per coordinate: mean and range over seeds of every estimator.

    Args:
        trajectories: columns estimator, variant, seed, update, coordinate, value.
        labels: coordinates to their titles.
        columns: panels per row.
        what: the figure shows, for a placeholder if there is nothing to draw.
        limits: of all vertical axes.
    """
    if trajectories.empty:
        return style.placeholder(what)
    rows = -(-len(labels) // columns)
    with style.theme():
        figure, axes = style.new_figure(
            2.3 * columns + 1.2, 2.1 * rows + 1.0, rows, columns, sharex=True
        )
        panels = [ax for row in axes for ax in row]
        for ax, (name, text) in zip(panels, labels.items(), strict=True):
            own = trajectories[trajectories["coordinate"] == name]
            for estimator, variant, runs in style.groups(own):
                look = style.line_style(estimator, variant) | {"marker": "none"}
                over_seeds = runs.groupby("update")["value"]
                mean = over_seeds.mean()
                style.draw_band(ax, mean.index, over_seeds.min(), over_seeds.max(), look["color"])
                ax.plot(mean.index, mean, **look)
            ax.set_title(text)
            if limits is not None:
                ax.set_ylim(*limits)
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        for ax in axes[-1]:
            ax.set_xlabel("leader updates")
        handles = style.estimator_handles(trajectories, marked=())
        handles.append(style.band_handle("smallest to largest of the seeds"))
        style.legend_below(figure, handles, columns=3)
    return figure
