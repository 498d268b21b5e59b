"""What the best known tariffs trade: the cost of peaks against the bill, by λ."""

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures import style


def tradeoff(table: pd.DataFrame, main: float) -> Figure:
    """Peak cost against the bill, a point per λ, and prices beside it.

    Args:
        table: columns tariff_weight, peak_cost, bill, mean_price; a placeholder without rows.
        main: λ of the main comparison, which is marked.
    """
    if table.empty:
        return style.placeholder("Peak against bill")
    rows = table.sort_values("tariff_weight")
    with style.theme():
        figure, ((ax,),) = style.new_figure(5.6, 4.2, 1, 1)
        ax.plot(rows["bill"], rows["peak_cost"], color="#0072B2", marker="o", zorder=2)
        own = rows[rows["tariff_weight"] == main]
        ax.plot(own["bill"], own["peak_cost"], color="#D55E00", marker="o", linestyle="none",
                markersize=9, zorder=3)  # fmt: skip
        for row in rows.itertuples():
            ax.annotate(f"λ = {row.tariff_weight:g}", (row.bill, row.peak_cost), xytext=(6, 3),
                        textcoords="offset points", fontsize=8.0)  # fmt: skip
        ax.set_xlabel("bill of a house, $ per day")
        ax.set_ylabel("cost of the peaks, $ per day")
        ax.margins(x=0.15)
    return figure
