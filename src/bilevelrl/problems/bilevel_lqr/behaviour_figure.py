"""What the two players of the LQR do under fixed gains of the leader: states and returns."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bilevelrl.figures import style

#: (target, width of the leader's reward around it) of every state.
Target = dict[str, tuple[float, float]]
#: Gains by label, with their colours; others follow in grey.
_COLOURS = {
    "paper: BC-HG": style.ESTIMATORS["bc_hg"].colour,
    "paper: Naive-PGD": style.ESTIMATORS["naive_on"].colour,
    "best known": style.ESTIMATORS["exact"].colour,
}
_OTHER = style.ESTIMATORS["naive"].colour
_TARGET_COLOUR = style.ESTIMATORS["bi_ac_on"].colour
_NUM_BINS = 50
#: Returns below this share of the largest one are drawn in the first bin.
_SMALLEST = 1e-4


def state_trajectories(simulations: pd.DataFrame, target: Target) -> Figure:
    """Every state against the step.

    Args:
        simulations: columns gain, episode, step and one per state.
        target: state -> where the leader wants it, and the width of its reward around that.

    Returns:
        A row per state, a column per gain; a placeholder if there is nothing to draw.
    """
    gains = list(dict.fromkeys(simulations["gain"]))
    if not gains:
        return style.placeholder("State trajectories")
    with style.theme():
        figure, axes = style.new_figure(
            2.7 * len(gains) + 0.6, 4.4, len(target), len(gains), sharex=True, sharey="row"
        )
        for row, (state, (middle, width)) in zip(axes, target.items(), strict=True):
            for ax, gain in zip(row, gains, strict=True):
                band = middle - width, middle + width
                ax.axhspan(*band, color=_TARGET_COLOUR, alpha=0.35, linewidth=0.0, zorder=3)
                ax.axhline(middle, color=_TARGET_COLOUR, linewidth=1.0, zorder=4)
                for _, steps in simulations[simulations["gain"] == gain].groupby("episode"):
                    colour = _COLOURS.get(gain, _OTHER)
                    ax.plot(steps["step"], steps[state], color=colour, linewidth=0.6, alpha=0.6)
            row[0].set_ylabel(f"{state[0]}$_{state[1:]}$")
        for ax, gain in zip(axes[0], gains, strict=True):
            ax.set_title(gain)
        for ax in axes[-1]:
            ax.set_xlabel("step")
        handles = [
            Line2D([], [], color="0.3", linewidth=0.9, label="an episode"),
            Line2D([], [], color=_TARGET_COLOUR, linewidth=3.0, alpha=0.5,
                   label="leader's target ± width of its reward"),
        ]  # fmt: skip
        style.legend_below(figure, list[Artist](handles), columns=2)
    return figure


def return_histogram(returns: pd.DataFrame) -> Figure:
    """How often an episode returns how much to the leader.

    Args:
        returns: columns gain, leader_return; one row per episode, all positive.

    Returns:
        One panel with common bins, equally wide on the logarithmic axis; a placeholder if there is
        nothing to draw.
    """
    gains = list(dict.fromkeys(returns["gain"]))
    if not gains:
        return style.placeholder("Histogram of returns")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.2, 3.6)
        values = returns["leader_return"]
        floor = max(values.min(), _SMALLEST * values.max())
        bins = np.geomspace(floor, values.max(), _NUM_BINS + 1)
        for gain in gains:
            own = values[returns["gain"] == gain].clip(lower=floor)
            text = f"{gain}\nmean {own.mean():.3g}, SD {own.std():.2g}"
            weights, colour = np.full(len(own), 1.0 / len(own)), _COLOURS.get(gain, _OTHER)
            ax.hist(own, bins.tolist(), weights=weights, color=colour, alpha=0.35, label=text)
            ax.hist(
                own, bins.tolist(), weights=weights, color=colour, histtype="step", linewidth=1.2
            )
            ax.axvline(own.mean(), color=colour, linewidth=1.0, linestyle=(0, (4.0, 2.0)))
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("discounted leader return of an episode of 200 steps (log scale)")
        ax.set_ylabel("share of episodes")
        ax.grid(visible=False, axis="x")
        figure.legend(loc="outside right center", frameon=False)
    return figure
