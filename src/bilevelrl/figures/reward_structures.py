"""Where the indirect term is worth having, by what the leader shares with its follower."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

#: Metrics of a panel with their lines' markers, and its label.
_PANELS = (
    ({"indirect_share": "o"}, "share of the indirect part\nin |direct| + |indirect|"),
    ({"lost_share": "o"}, "share of the gain in J lost\nwithout the indirect part"),
    ({"error_bc_hg": "o", "error_direct": "s"}, "error of a sampled\nestimate / |dJ/dθ|"),
    ({"break_even_log10": "o"}, "log₁₀ transitions from which\nthe indirect part pays"),
)
_FILLS = {"error_direct": "none"}


def reward_structures(table: pd.DataFrame) -> Figure:
    """Four panels over κ, a line per temperature, intervals of the mean over games.

    Of results/reward_structures.csv.
    """
    temperatures = sorted(set(table["temperature"]))
    colours = dict(zip(temperatures, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=False))
    with style.theme():
        figure, axes = style.new_figure(8.0, 5.4, 2, 2, sharex=True)
        for ax, (metrics, text) in zip((*axes[0], *axes[1]), _PANELS, strict=True):
            for temperature in temperatures:
                own = table[table["temperature"] == temperature]
                for metric, marker in metrics.items():
                    _draw(ax, own[own["metric"] == metric], colours.get(temperature), marker)
            ax.set_ylabel(text)
        axes[0][1].axhline(0.0, color="0.5", linewidth=0.8)
        for ax in axes[1]:
            ax.set_xlabel("κ: −1 zero-sum, 0 unrelated, 1 common interest")
        handles = [
            Line2D([], [], color=colours.get(each, "black"), label=f"β = {each:g}")
            for each in temperatures
        ]
        handles += [
            Line2D([], [], color="0.4", marker=marker, linestyle="none", label=label,
                   markerfacecolor=_FILLS.get(metric, "0.4"))
            for metric, marker, label in (
                ("error_bc_hg", "o", "BC-HG"), ("error_direct", "s", "direct part only"),
            )
        ]  # fmt: skip
        style.legend_below(figure, handles, columns=4)
    return figure


def _draw(ax: Axes, rows: pd.DataFrame, colour: str | None, marker: str) -> None:
    metric = rows["metric"].iloc[0]
    look: style.Look = {"color": colour or "black", "marker": marker, "capsize": 2.0}
    look |= {"elinewidth": 1.0, "markerfacecolor": _FILLS.get(metric, colour or "black")}
    style.draw_intervals(ax, rows["alignment"], rows, look)
