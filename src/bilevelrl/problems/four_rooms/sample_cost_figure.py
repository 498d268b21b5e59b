"""How many transitions the estimators need, from a hundred to millions."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

#: Share of the best known J that is marked.
_MARKED = 0.95
#: Share at which transitions are compared: sampled leaders reach it too.
_COMPARED = 0.8


def sample_cost(curves: pd.DataFrame, best_known: pd.DataFrame) -> Figure:
    """J as a share of the best known one against transitions, on a logarithmic axis.

    At the smallest batch of each estimator that samples, because variants of a kernel have a J of
    their own, as a share; an arrow says how many times as many transitions the first of the others
    takes. A placeholder if no leader identifies its model.

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
        drawn, reached = [], {}
        for estimator, variant, own in style.groups(rows[rows["budget"] > 0]):
            curve = own[own["budget"] == own["budget"].min()]
            steps = curve["env_steps"] + curve["budget"]  # what the update itself sees included
            look = style.line_style(estimator, variant) | {"marker": ""}
            shares = [curve[name] / best[variant] for name in ("iqm", "low", "high")]
            ax.plot(steps, shares[0], **look)
            style.draw_band(ax, steps, shares[1], shares[2], look["color"])
            drawn.append(curve)
            if (there := steps[shares[0] >= _COMPARED]).size:
                reached[estimator, variant] = float(there.min())
        for share, dots in ((1.0, "-"), (_MARKED, ":")):
            ax.axhline(share, color=style.BEST_KNOWN_COLOUR, linewidth=0.8, linestyle=dots)
        ax.set_xscale("log")
        ax.set_ylim(-0.1, 1.08)
        ax.set_xlabel("transitions sampled by the leader, oracle not counted")
        ax.set_ylabel("J(θ), share of the best known\nIQM over seeds")
        knowing = (str(fewest["estimator"].iloc[0]), str(fewest["variant"].iloc[0]))
        _factor(ax, reached, knowing)
        handles = style.estimator_handles(pd.concat(drawn), marked=())
        for handle in handles:
            if handle.get_label() == style.label(*knowing):
                handle.set_label(f"{style.label(*knowing)}, identified")
        handles += [
            style.band_handle("interval over seeds"),
            Line2D([], [], color=style.BEST_KNOWN_COLOUR, linestyle=":", linewidth=0.8,
                   label=f"{100.0 * _MARKED:.0f} %"),
        ]  # fmt: skip
        style.legend_below(figure, handles, columns=4)
    return figure


def _factor(ax: Axes, reached: dict[tuple[str, str], float], own: tuple[str, str]) -> None:
    """An arrow from where `own` has the compared share to where the first other one has it."""
    others = [steps for name, steps in reached.items() if name != own]
    if own not in reached or not others:
        return
    first, second = reached[own], min(others)
    arrow = {"arrowstyle": "<->", "color": style.BEST_KNOWN_COLOUR, "linewidth": 0.8,
             "shrinkA": 0.0, "shrinkB": 0.0}  # fmt: skip
    ax.annotate("", (first, _COMPARED), (second, _COMPARED), arrowprops=arrow)
    ax.annotate(
        f"{100.0 * _COMPARED:.0f} %: {second / first:.0f} times the transitions",
        ((first * second) ** 0.5, _COMPARED), (0.0, 3.0), textcoords="offset points",
        ha="center", va="bottom", fontsize=8.5,
    )  # fmt: skip
