"""How far each leader comes on the way from no toll to the best known tolls."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bilevelrl.figures import style

#: Values of `case` to titles of panels, and how far to the left the axis goes at most.
CASES = {
    "objective=tstt;tollable=18": "travel time, 18 tolls",
    "objective=net;tollable=18": "net cost, 18 tolls",
    "objective=tstt;tollable=76": "travel time, a toll on every link",
    "objective=net;tollable=76": "net cost, a toll on every link",
}
_LEFTMOST = -0.6


def ways(summary: pd.DataFrame) -> Figure:
    """Mean with interval, and the worst seed, of every leader in every case.

    Args:
        summary: columns estimator, variant, case, metric, value, low and high, of one temperature
            and against travellers in equilibrium; a placeholder without any.
    """
    rows = summary[summary["metric"].isin(["way_mean", "way_worst_seed"])]
    if rows.empty:
        return style.placeholder("Way to the best tolls")
    leaders = [(estimator, variant) for estimator, variant, _ in style.groups(rows)]
    with style.theme():
        figure, (panels,) = style.new_figure(10.5, 0.32 * len(leaders) + 1.5, 1, 4, sharey=True)
        for ax, (case, title) in zip(panels, CASES.items(), strict=True):
            _panel(ax, rows[rows["case"] == case], leaders)
            ax.set_title(title)
        panels[0].set_yticks(range(len(leaders)), [style.label(*leader) for leader in leaders])
        panels[0].invert_yaxis()
        figure.supxlabel("share of the way from no toll to the best known tolls", fontsize=9.0)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, leaders: list[tuple[str, str]]) -> None:
    for place, (estimator, variant) in enumerate(leaders):
        own = rows[(rows["estimator"] == estimator) & (rows["variant"] == variant)]
        look = style.line_style(estimator, variant) | {"linestyle": "none"}
        mean = own[own["metric"] == "way_mean"].iloc[:1]
        worst = own[own["metric"] == "way_worst_seed"]["value"].iloc[:1]
        for value in mean["value"]:
            if value < _LEFTMOST:
                text = f"◀ {style.number(value, 1)}"
                ax.annotate(text, (_LEFTMOST, place), va="center", fontsize=8.0)
                continue
            known = mean.assign(low=mean["low"].fillna(value), high=mean["high"].fillna(value))
            error = [known["value"] - known["low"], known["high"] - known["value"]]
            ax.errorbar(known["value"], [place], xerr=error, **look)
            ax.plot(worst.clip(lower=_LEFTMOST), [place] * len(worst), linestyle="none",
                    marker="|", color=look["color"])  # fmt: skip
    for x in (0.0, 1.0):
        ax.axvline(x, color="0.6", linewidth=0.8, zorder=0)
    ax.set_xlim(_LEFTMOST - 0.05, 1.08)


def cosines(gradients: pd.DataFrame) -> Figure:
    """The cosine of one estimate with the exact hypergradient, against trips, at every θ.

    Args:
        gradients: columns `runs.records.GRADIENT_COLUMNS`; a placeholder without any.
    """
    sampled = gradients[gradients["env_steps_per_update"] > 0]
    if sampled.empty:
        return style.placeholder("Directions")
    points = list(dict.fromkeys(sampled["point"]))
    with style.theme():
        figure, (panels,) = style.new_figure(4.0 * len(points), 3.8, 1, len(points), sharey=True)
        for ax, point in zip(panels, points, strict=True):
            own = sampled[sampled["point"] == point]
            for estimator, variant, rows in style.groups(own):
                for note, line in rows.groupby(rows["note"].fillna("")):
                    ordered = line.sort_values("env_steps_per_update")
                    look = style.line_style(estimator, variant)
                    look |= {"marker": "x", "markeredgecolor": look["color"]} if note else {}
                    label = ", ".join(filter(None, [style.label(estimator, variant), str(note)]))
                    ax.plot(ordered["env_steps_per_update"], ordered["cosine_mean"], label=label,
                            **look)  # fmt: skip
            ax.set_title(point)
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
            ax.set_xlabel("trips per estimate")
            ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        panels[0].set_ylabel("cosine with dJ/dθ, mean over estimates")
        style.legend_below(figure, panels[0].get_legend_handles_labels()[0], columns=2)
    return figure
