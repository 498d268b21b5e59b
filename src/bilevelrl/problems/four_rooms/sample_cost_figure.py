"""How many transitions the estimators need, from a hundred to millions."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

#: Share of the best known J that is marked.
_MARKED = 0.95


def sample_cost(curves: pd.DataFrame, best_known: pd.DataFrame) -> Figure:
    """J as a share of the best known one against transitions, on a logarithmic axis.

    At the smallest batch of each estimator, because variants of a kernel have a J of their own, as
    a share; a placeholder if no leader identifies its model.

    Args:
        curves: columns `LEARNING_CURVE_COLUMNS`, rows of one temperature.
        best_known: columns variant and best_known.
    """
    identified = curves[(curves["study"] == "identified") & (curves["follower"] == "exact")]
    if identified.empty:
        return style.placeholder("Transitions to the optimum")
    fewest = identified[identified["information"] == identified["information"].min()]
    rows = pd.concat([curves[curves["study"] == "main"], fewest])
    best = best_known.set_index("variant")["best_known"]
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.0, 4.2, 1, 1)
        drawn = []
        for estimator, variant, own in style.groups(rows[rows["budget"] > 0]):
            curve = own[own["budget"] == own["budget"].min()]
            steps = curve["env_steps"] + curve["budget"]  # what the update itself sees included
            look = style.line_style(estimator, variant) | {"marker": ""}
            shares = [curve[name] / best[variant] for name in ("iqm", "low", "high")]
            ax.plot(steps, shares[0], **look)
            style.draw_band(ax, steps, shares[1], shares[2], look["color"])
            drawn.append(curve)
        for share, dots in ((1.0, "-"), (_MARKED, ":")):
            ax.axhline(share, color=style.BEST_KNOWN_COLOUR, linewidth=0.8, linestyle=dots)
        ax.set_xscale("log")
        ax.set_ylim(-0.1, 1.08)
        ax.set_xlabel("transitions sampled by the leader, oracle not counted")
        ax.set_ylabel("J(θ), share of the best known\nIQM over seeds")
        handles = [
            *style.estimator_handles(pd.concat(drawn), marked=()),
            style.band_handle("interval over seeds"),
            Line2D([], [], color=style.BEST_KNOWN_COLOUR, linestyle=":", linewidth=0.8,
                   label=f"{100.0 * _MARKED:.0f} %"),
        ]  # fmt: skip
        style.legend_below(figure, handles, columns=4)
    return figure
