"""Which difference between the released configurations makes the difference between the results."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.figures.ticks import plain_log_ticks

_STUDIES = {
    "main": "as\nreleased",
    "clipped": "gradient\nclipped",
    "no_random_phase": "no random\nphase",
    "clipped_no_random_phase": "clipped, no\nrandom phase",
}
_METRICS = {"leader_return_mean": "mean over seeds", "leader_return_final_iqm": "IQM over seeds"}
_CROSS = style.CROSS | {"markersize": 7.0}


def ablation(summary: pd.DataFrame, objective: str) -> Figure:
    """Final J, called `objective`, of every estimator that has an ablation, in every study.

    Of columns estimator, variant, study, budget, metric, value, low, high of one temperature;
    `published_mean` gives the crosses. A placeholder if there is nothing to draw.
    """
    rows = summary[(summary["variant"] == "published") & summary["study"].isin(list(_STUDIES))]
    ablated = rows[rows["study"] != "main"]
    rows = rows[rows["estimator"].isin(ablated["estimator"])]
    if ablated.empty:
        return style.placeholder("Ablation")
    with style.theme():
        figure, (axes,) = style.new_figure(8.4, 3.6, 1, len(_METRICS), sharey=True)
        studies = [study for study in _STUDIES if study in set(rows["study"])]
        estimators = style.estimator_order(rows["estimator"])
        for ax, (metric, title) in zip(axes, _METRICS.items(), strict=True):
            for number, estimator in enumerate(estimators):
                shift = 0.16 * (number - 0.5 * (len(estimators) - 1))
                lines = rows[rows["estimator"] == estimator]
                _points(ax, lines[lines["metric"] == metric], studies, shift)
                if metric == "leader_return_mean":
                    theirs = lines[lines["metric"] == "published_mean"]
                    at = [studies.index(study) + shift for study in theirs["study"]]
                    ax.plot(at, theirs["value"], **_CROSS)
            ax.set_title(title)
            ax.set_xticks(range(len(studies)), [_STUDIES[study] for study in studies])
            ax.set_xlim(-0.5, len(studies) - 0.5)
            ax.grid(visible=False, axis="x")
        axes[0].set_yscale("log")
        plain_log_ticks(axes[0])
        axes[0].set_ylabel(f"final {objective}")
        looks = {name: style.line_style(name) | {"linestyle": "none"} for name in estimators}
        handles = [Line2D([], [], label=style.label(name), **look) for name, look in looks.items()]
        handles.append(Line2D([], [], color="0.4", linewidth=1.4, label="interval over seeds"))
        handles.append(Line2D([], [], label="published mean", **_CROSS))
        style.legend_below(figure, handles, columns=5)
    return figure


def _points(ax: Axes, rows: pd.DataFrame, studies: list[str], shift: float) -> None:
    for estimator, variant, line in style.groups(rows):
        at = [studies.index(study) + shift for study in line["study"]]
        own = {"linestyle": "none", "markersize": 6.5, "elinewidth": 1.4, "capsize": 3.0}
        style.draw_intervals(ax, at, line, style.line_style(estimator, variant) | own)
