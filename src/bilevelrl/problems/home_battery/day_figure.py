"""The mean day under several tariffs: prices, energy from the grid, charge of the batteries."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.problems.home_battery.profiles import HOURS

#: Rows of panels: column of a table, label and colour.
_ROWS = {
    "price": ("price, $/kWh", "#7570B3"),
    "energy": ("energy from the grid, kWh", "#D55E00"),
    "charge": ("charge, kWh", "#0072B2"),
}
_LEFT_ALONE = "#7F7F7F"


def day_panels(days: dict[str, pd.DataFrame]) -> Figure:
    """A column of panels per tariff, with the hour of the largest energy marked.

    Args:
        days: titles to tables with the columns `DAY_COLUMNS`; a column without rows stays empty,
            and all of them a placeholder.
    """
    if all(table.empty for table in days.values()):
        return style.placeholder("A day")
    with style.theme():
        figure, axes = style.new_figure(
            2.6 * len(days) + 0.6, 6.0, len(_ROWS), len(days), sharex=True, sharey="row"
        )
        for column, (title, table) in enumerate(days.items()):
            for row, (name, (_, colour)) in enumerate(_ROWS.items()):
                ax = axes[row][column]
                ax.stairs(table[name], range(len(table) + 1), color=colour, linewidth=1.6)
                if name == "energy" and len(table):
                    ax.stairs(table["without_battery"], range(HOURS + 1), color=_LEFT_ALONE,
                              linestyle=":")  # fmt: skip
                    worst = table.iloc[int(table["energy"].argmax())]
                    text = f"{style.number(worst['energy'], 2)} kWh\nat {worst['hour']:.0f} h"
                    side = "left" if worst["hour"] < HOURS / 2 else "right"
                    ax.annotate(text, (worst["hour"] + 0.5, worst["energy"]), xytext=(0, 5),
                                textcoords="offset points", ha=side, fontsize=8.0)  # fmt: skip
            axes[0][column].set_title(title)
            axes[-1][column].set_xlabel("hour of the day")
            axes[-1][column].set_xticks(range(0, HOURS + 1, 6))
        for row, (name, (label, _)) in enumerate(_ROWS.items()):
            axes[row][0].set_ylabel(label)
            axes[row][0].margins(y=0.4 if name == "energy" else 0.05)
        handles = [Line2D([], [], color=_LEFT_ALONE, linestyle=":", label="without a battery")]
        style.legend_below(figure, handles, columns=1)
    return figure
