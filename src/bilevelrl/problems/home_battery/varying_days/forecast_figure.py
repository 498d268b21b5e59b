"""Days of three types side by side: prices that follow the forecast, and prices that do not."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.problems.home_battery.profiles import HOURS

#: Rows of panels: column of a table, and label.
_ROWS = {"price": "price, $/kWh", "energy": "energy from the grid, kWh"}
_COLOURS = ("#7F7F7F", "#0072B2", "#D55E00", "#7570B3")


def forecast_panels(tables: dict[str, pd.DataFrame]) -> Figure:
    """Prices and energy of all houses on a dark day of high load, a mean one, and a sunny one.

    Args:
        tables: what set the prices, and columns `TYPED_COLUMNS`; those without rows are left out,
            and without any there is a placeholder.
    """
    drawn = {name: table for name, table in tables.items() if len(table)}
    if not drawn:
        return style.placeholder("Days by their forecast")
    days = _days(next(iter(drawn.values())))
    with style.theme():
        figure, axes = style.new_figure(
            3.0 * len(days) + 0.6, 5.0, len(_ROWS), len(days), sharex=True, sharey="row"
        )
        for (name, table), colour in zip(drawn.items(), _COLOURS, strict=False):
            for column, (load, solar) in enumerate(days.values()):
                like = np.isclose(table["load_factor"], load)  # a table in a file is rounded
                like &= np.isclose(table["solar_factor"], solar)
                own = table[like].sort_values("hour")
                for row, quantity in enumerate(_ROWS):
                    axes[row][column].stairs(
                        own[quantity],
                        range(len(own) + 1),
                        color=colour,
                        linewidth=1.6,
                        baseline=None,
                        label=name,
                    )
        for column, (name, (load, solar)) in enumerate(days.items()):
            factors = f"load × {style.number(load, 2)}, sunshine × {style.number(solar, 2)}"
            axes[0][column].set_title(f"{name}\n{factors}")
            axes[-1][column].set_xlabel("hour of the day")
            axes[-1][column].set_xticks(range(0, HOURS + 1, 6))
        for row, label in enumerate(_ROWS.values()):
            axes[row][0].set_ylabel(label)
        handles = [Line2D([], [], color=c) for c in _COLOURS[: len(drawn)]]
        for handle, name in zip(handles, drawn, strict=True):
            handle.set_label(name)
        style.legend_below(figure, handles, columns=4)
    return figure


def _days(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    # Factors of load and sunshine of three types, by name.
    load, solar = (sorted(set(table[name])) for name in ("load_factor", "solar_factor"))
    middle = len(load) // 2
    return {
        "dark, high load": (load[-1], solar[0]),
        "as usual": (load[middle], solar[middle]),
        "sunny, low load": (load[0], solar[-1]),
    }
