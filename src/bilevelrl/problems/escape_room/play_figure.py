"""What trained leaders of EscapeRoom pay, and what their players do, step by step."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

_ROWS = {
    "payment": "paid for a pull",
    "lever": "P(pulls, nobody has left)",
    "door": "P(goes to the door,\nnobody has left)",
}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_MARKERS = ("o", "s", "^", "v")


def play_by_step(play: pd.DataFrame, highest_payment: float) -> Figure:
    """A column per estimator: payments, pulls and doors of every player, mean and range of seeds.

    Args:
        play: columns `outcomes.PLAY_COLUMNS` of one temperature.
        highest_payment: end of the axis of payments.

    Returns:
        A placeholder if there is nothing to draw.
    """
    panels = list(style.groups(play))
    if not panels:
        return style.placeholder("Payments and players")
    with style.theme():
        figure, axes = style.new_figure(
            max(1.7 * len(panels) + 1.0, 5.0), 6.2, len(_ROWS), len(panels),
            sharex=True, sharey="row",
        )  # fmt: skip
        for column, (estimator, variant, rows) in enumerate(panels):
            rows = rows[rows["budget"] == rows["budget"].max()]
            for line, name in zip(axes, _ROWS, strict=True):
                for player, own in rows.groupby("player"):
                    number = int(str(player)) % len(_COLOURS)
                    over_seeds = own.groupby("step")[name]
                    mean, colour = over_seeds.mean(), _COLOURS[number]
                    style.draw_band(
                        line[column], mean.index, over_seeds.min(), over_seeds.max(), colour
                    )
                    line[column].plot(
                        mean.index, mean, color=colour, marker=_MARKERS[number], markersize=3.5
                    )
            axes[0][column].set_title(style.label(estimator, variant).replace(", ", "\n"))
            axes[-1][column].set_xlabel("step")
            axes[-1][column].set_xticks(sorted(set(rows["step"])))
        for (name, text), line in zip(_ROWS.items(), axes, strict=True):
            line[0].set_ylabel(text)
            line[0].set_ylim(0.0, 1.05 * (highest_payment if name == "payment" else 1.0))
        style.legend_below(figure, _handles(int(play["player"].max()) + 1), columns=3)
    return figure


def _handles(players: int) -> list[Artist]:
    names = [
        "who pulls most",
        *(f"next, {n}" if players > 2 else "the other" for n in range(1, players)),
    ]
    handles: list[Artist] = [
        Line2D([], [], label=name, color=_COLOURS[n % 4], marker=_MARKERS[n % 4], markersize=3.5)
        for n, name in enumerate(names)
    ]
    return [*handles, style.band_handle("smallest to largest of the seeds")]
