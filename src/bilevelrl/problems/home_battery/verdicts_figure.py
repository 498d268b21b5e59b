"""How wrong a leader is about houses that do not play their best response, update by update."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.core.error_parts import SQUARE
from bilevelrl.figures import style

#: Upper panels: column, label and colour.
_RETURNS = {
    "played_return": ("as played", "#0072B2"),
    "leader_return_optimal": ("under the best response", "#D55E00"),
}
#: Lower panels.
_ERRORS = {
    "lag_error": ("lag of the houses", "#CC79A7"),
    "belief_error": ("belief of the leader", "#009E73"),
    "variance_error": ("variance", "#E69F00"),
    SQUARE: ("square of the hypergradient", "#7F7F7F"),
}
_FOLLOWERS = {"soft_q": "soft Q-learning", "sac": "soft actor-critic", "truncated": "planning"}


def verdict_panels(verdicts: pd.DataFrame) -> Figure:
    """A column of panels per follower: J, and what estimates miss, means over seeds.

    Args:
        verdicts: columns `verdicts.VERDICT_COLUMNS`; a placeholder without rows. Parts below zero
            are not drawn.
    """
    if verdicts.empty:
        return style.placeholder("Parts of the error")
    columns = list(verdicts.groupby("setting"))
    with style.theme():
        figure, axes = style.new_figure(
            2.4 * len(columns) + 1.0, 5.0, 2, len(columns), sharex="col", sharey="row"
        )
        for column, (setting, own) in enumerate(columns):
            above, below = axes[0][column], axes[1][column]
            above.set_title(_title(str(setting)))
            means = own.groupby("update")[[*_RETURNS, *_ERRORS]].mean()
            _draw(above, means, _RETURNS)
            below.set_yscale("log")
            _draw(below, means.where(means > 0.0), _ERRORS)
            below.set_xlabel("leader updates")
        axes[0][0].set_ylabel("J, $ per day")
        axes[1][0].set_ylabel("squared error of dJ/dθ,\n(\\$ per day per \\$/kWh)²")
        told = (_RETURNS | _ERRORS).values()
        handles = [Line2D([], [], color=colour, label=label) for label, colour in told]
        style.legend_below(figure, handles, columns=3)
    return figure


def _draw(ax: Axes, means: pd.DataFrame, looks: dict[str, tuple[str, str]]) -> None:
    for name, (_, colour) in looks.items():
        ax.plot(means.index, means[name], color=colour, linewidth=1.2)


def _title(setting: str) -> str:
    told = dict(part.split("=", 1) for part in setting.split(";"))
    follower = _FOLLOWERS.get(told["follower"], told["follower"])
    if "days" in told:
        return f"{follower}, {told['start']},\n{told['days']} day"
    bounds = f", {told['limits']}" if "limits" in told else ""
    leader = "; identified" if "model" in told else ""
    return f"{follower}{bounds}{leader},\n{told.get('follower_steps', '')} hours an answer"
