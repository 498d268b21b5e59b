"""What estimates in building thermal control are worth: their noise, and where their steps go."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style

#: Rungs of BC-HG and what each is called.
RUNGS = {
    "bc_hg_published": "published: score",
    "bc_hg_corrected": "corrected: score",
    "bc_hg_corrected_centred_value": "… V$_F$(s′) − V$_F$(E s′)",
    "bc_hg_corrected_centred_value_doubly_centred": "… doubly centred",
    "bc_hg_improved_singly_centred": "pathwise",
    "bc_hg_improved_doubly_centred": "… doubly centred",
    "bc_hg_improved": "… expected sensitivity",
}
_POINT_COLOURS = ("#000000", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
_POINT: dict[str, Any] = {"linestyle": "none", "markersize": 4.5}
_DRIFT = _POINT | {"color": "0.35", "marker": "o"}
#: Columns, what is said of them, and their points.
_PARTS = {
    "cosine_total": ("with dJ/dθ", _POINT | {"color": "#000000", "marker": "o"}),
    "cosine_direct": ("with its direct part", _POINT | {"color": "#E69F00", "marker": "s"}),
    "cosine_indirect": ("with its indirect part", _POINT | {"color": "#0072B2", "marker": "D"}),
}
_CROSS = _POINT | {
    "marker": "x", "color": "#D55E00", "markersize": 6.5, "markeredgewidth": 1.6, "zorder": 5,
}  # fmt: skip
#: Cosines and drifts that are smaller are drawn on a linear scale.
_LINEAR = 0.01
_SCALE = f"(linear within ±{_LINEAR:g}, logarithmic outside)"


def variance_ladder(gradients: pd.DataFrame) -> Figure:
    """Standard deviation of one BC-HG estimate in units of |dJ/dθ|, from rung to rung.

    Args:
        gradients: columns of results/gradients.csv of one problem; a line per design, at the
            largest budget, a placeholder without rows.

    Raises:
        ValueError: if a rung of BC-HG with a learned critic is not in `RUNGS`.
    """
    rows = gradients[(gradients["estimator"] == "bc_hg") & (gradients["critic"] != "exact")]
    rows = rows[rows["env_steps_per_update"] == rows["env_steps_per_update"].max()]
    if unknown := sorted(set(rows["rung"]) - set(RUNGS)):
        raise ValueError(f"the figure of the ladder knows no rungs {unknown}, only {[*RUNGS]}")
    rows = rows.assign(rung=rows["rung"].map({rung: n for n, rung in enumerate(RUNGS)}))
    if rows.empty:
        return style.placeholder("Variance ladder")
    with style.theme():
        figure, ((ax,),) = style.new_figure(7.6, 3.9)
        for place, (point, own) in enumerate(rows.groupby("point", sort=False)):
            ordered = own.sort_values("rung")
            ratio = ordered["standard_deviation"] / ordered["exact_norm"]
            colour = _POINT_COLOURS[place % len(_POINT_COLOURS)]
            ax.plot(ratio, ordered["rung"], label=str(point), color=colour, marker="o",
                    linewidth=1.0)  # fmt: skip
        ax.axvline(
            1.0, color=style.BEST_KNOWN_COLOUR, linewidth=0.9, linestyle=(0, (8.0, 2.0)),
            label="as large as the hypergradient",
        )  # fmt: skip
        ax.set_xscale("log")
        ax.set_yticks(range(len(RUNGS)), list(RUNGS.values()))
        ax.invert_yaxis()
        budget = int(rows["env_steps_per_update"].iloc[0])
        of = f"one estimate from {budget:,} transitions"
        ax.set_xlabel(f"standard deviation of {of}, over |dJ/dθ|")
        style.legend_below(figure, ax.get_legend_handles_labels()[0], columns=3)
    return figure


def directions(table: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Where normalised estimates point at θ = 0: cosines with the exact parts, and the drift.

    Args:
        table: columns of results/directions.csv of one problem; a row of panels per group of
            parameters, a placeholder without rows.
        published: columns estimator, group, drift.
    """
    groups = list(dict.fromkeys(table["group"]))
    if not groups:
        return style.placeholder("Directions")
    with style.theme():
        labels = [
            f"{style.label(str(row.estimator), str(row.variant))}, {row.critic} critic"
            for row in table[table["group"] == groups[0]].itertuples()
        ]
        figure, axes = style.new_figure(
            8.4, (0.3 * len(labels) + 0.5) * len(groups) + 1.0, len(groups), 2, sharey=True
        )
        for (left, right), group in zip(axes, groups, strict=True):
            own = table[table["group"] == group].reset_index(drop=True)
            place = np.arange(len(own))
            for shift, (column, (_, look)) in zip((-0.2, 0.0, 0.2), _PARTS.items(), strict=True):
                error = 2.0 * own[f"{column}_error"]
                left.errorbar(own[column], place + shift, xerr=error, capsize=2.0, **look)
            _drift(right, own, published[published["group"] == group])
            left.set_yticks(place, labels)
            left.set_ylabel(group)
            for ax in (left, right):
                ax.axvline(0.0, color="0.4", linewidth=0.8, zorder=1)
                _signed_log(ax)
        axes[0][0].invert_yaxis()
        axes[-1][0].set_xlabel(f"mean cosine of one estimate ± 2 SE\n{_SCALE}")
        axes[-1][1].set_xlabel(f"drift of a unit step along (1, 1, 1, 1)/2\n{_SCALE}")
        entries = [*_PARTS.values(), ("drift ± 2 SE, ours", _DRIFT), ("drift, published", _CROSS)]
        handles = [Line2D([], [], label=text, **look) for text, look in entries]
        style.legend_below(figure, list[Artist](handles), columns=5)
    return figure


def _signed_log(ax: Axes) -> None:
    """The same scale in all panels: what is noise and what is not differ a hundredfold."""
    ax.set_xscale("symlog", linthresh=_LINEAR, linscale=1.0)
    ticks = (-1.0, -0.1, -0.01, 0.0, 0.01, 0.1, 1.0)
    ax.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.set_xlim(-0.2, 1.3)
    ax.minorticks_off()


def _drift(ax: Axes, own: pd.DataFrame, published: pd.DataFrame) -> None:
    place, error = np.arange(len(own)), 2.0 * own["drift_error"]
    ax.errorbar(own["drift"], place, xerr=error, capsize=2.0, **_DRIFT)
    known = dict(zip(published["estimator"], published["drift"], strict=True))
    shown = [
        (known[str(row.estimator)], number)
        for number, row in enumerate(own.itertuples())
        if row.variant == "published" and str(row.estimator) in known
    ]
    if shown:
        ax.plot(*zip(*shown, strict=True), **_CROSS)
