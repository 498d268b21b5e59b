"""How far each leader comes on the way from the flat to the best known tariff."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures import style

#: Values of `study` to what they are called, in the order of the rows.
STUDIES = {
    "main": "",
    "identified": "identified",
    "watching": "sees actions alone",
    "one_sided": "one-sided",
    "truncated_follower": "",
    "learning_follower": "",
    "houses_4": "4 houses",
    "identified_houses_4": "identified, 4 houses",
    "houses_17": "17 houses",
    "identified_houses_17": "identified, 17 houses",
    "varying_days": "days vary, 24 prices",
    "network": "days vary, network",
    "identified_network": "days vary, network, identified",
    "network_17": "days vary, network, 17 houses",
    "identified_network_17": "days vary, network, identified, 17 houses",
}
#: Values of `follower` to what houses do that do not plan to the end.
_HOUSES = {
    "truncated": "houses plan a day",
    "soft_q": "houses learn",
    "sac": "houses learn by SAC",
}
#: How far to the left the axis goes at most.
_LEFTMOST = -0.2


def ways(summary: pd.DataFrame) -> Figure:
    """Mean with interval, and the worst seed, of every setting.

    Args:
        summary: columns estimator, variant, setting, study, special, metric, value, low and high,
            of one temperature; a placeholder without any.
    """
    rows = summary[summary["metric"].isin(["way_mean", "way_worst_seed"])]
    if rows.empty:
        return style.placeholder("Way to the best tariff")
    lines = [
        (estimator, variant, study, own)
        for study in [*STUDIES, *sorted(set(rows["study"]) - STUDIES.keys())]
        for estimator, variant, group in style.groups(rows[rows["study"] == study])
        for _, own in group.groupby("setting")
    ]
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 0.32 * len(lines) + 1.3, 1, 1)
        for place, (estimator, variant, _, own) in enumerate(lines):
            look = style.line_style(estimator, variant) | {"linestyle": "none"}
            mean = own[own["metric"] == "way_mean"].iloc[0]
            worst = own[own["metric"] == "way_worst_seed"]["value"].iloc[:1]
            low, high = (
                mean["value"] if pd.isna(mean[end]) else mean[end] for end in ("low", "high")
            )
            error = [[mean["value"] - low], [high - mean["value"]]]
            ax.errorbar([mean["value"]], [place], xerr=error, **look)
            for value in worst:
                if value < _LEFTMOST:
                    text = f"◀ worst seed {style.number(value, 1)}"
                    ax.annotate(text, (_LEFTMOST, place), va="center", fontsize=8.0)
                else:
                    ax.plot([value], [place], linestyle="none", marker="|", color=look["color"])
        ax.set_yticks(range(len(lines)), [_label(*line) for line in lines])
        ax.invert_yaxis()
        for x in (0.0, 1.0):
            ax.axvline(x, color="0.6", linewidth=0.8, zorder=0)
        ax.set_xlim(_LEFTMOST - 0.03, max(1.04, *_means(rows)))
        ax.set_xlabel(
            "share of the way from the flat to the best\n"
            "known tariff, as played\n"
            "(|: worst seed under the best response)"
        )
    return figure


def _means(rows: pd.DataFrame) -> list[float]:
    means = rows[rows["metric"] == "way_mean"]["value"]
    return [float(value) + 0.04 for value in means if np.isfinite(value)]


def _label(estimator: str, variant: str, study: str, own: pd.DataFrame) -> str:
    parts = dict(part.split("=", 1) for part in str(own["setting"].iloc[0]).split(";"))
    told = [style.label(estimator, variant), STUDIES.get(study, study)]
    if parts["follower"] != "exact":
        told += [_HOUSES[parts["follower"]], parts.get("limits", "")]
        told.append(parts.get("follower_steps", parts.get("start", "")))
    return ", ".join(filter(None, told))
