"""What it costs that the leader only watches, and that the follower has to learn too."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.figures.ticks import log_ticks

_THIN = 0.8
#: Level of information: label, colour and marker.
LEVELS = {
    "full": ("reads V_F and policy", "#000000", "o"),
    "rewards": ("sees the follower's rewards", "#D55E00", "s"),
    "actions": ("sees its actions only", "#0072B2", "^"),
}
#: Kind of follower: label and fill.
FOLLOWERS: dict[str, tuple[str, Literal["full", "left", "right", "top", "none"]]] = {
    "exact": ("solved", "full"),
    "truncated": ("truncated solver", "left"),
    "soft_q": ("soft Q-learning", "none"),
    "day_to_day": ("day-to-day learning", "right"),
    "sac": ("SAC", "top"),
}


def studied_in(table: pd.DataFrame, studies: tuple[str, ...]) -> list[str]:
    """Problems in which BC-HG was studied, in the table's order."""
    rows = table[(table["estimator"] == "bc_hg") & table["study"].isin(studies)]
    return list(dict.fromkeys(rows["problem"]))


def information_levels(summary: pd.DataFrame) -> Figure:
    """Final J against what the leader sees of an exact follower, a panel per problem.

    Of results/summary.csv with condition columns; a placeholder if there is no such study.
    """
    problems = studied_in(summary, ("information",))
    if not problems:
        return style.placeholder("Levels of information")
    with style.theme():
        figure, (axes,) = style.new_figure(2.5 * len(problems), 3.0, 1, len(problems))
        for ax, problem in zip(axes, problems, strict=True):
            _levels(ax, summary[summary["problem"] == problem])
        axes[0].set_ylabel("final leader return J(θ), IQM")
    return figure


def _levels(ax: Axes, rows: pd.DataFrame) -> None:
    watched = rows[rows["study"] == "information"]
    same = rows["variant"].isin(watched["variant"]) & rows["budget"].isin(watched["budget"])
    # The same sensitivities on both sides, where an estimator has a choice of them.
    sampled = "sampled_sensitivity" in set(rows["study"])
    full = "sampled_sensitivity" if sampled else "main"
    alike = rows["study"].isin([full, "information"]) & (rows["estimator"] == "bc_hg")
    final = rows[same & alike & (rows["metric"] == "leader_return_final_iqm")]
    labels = list(dict.fromkeys(_level_label(row) for _, row in final.iterrows()))
    labels.sort(key=lambda label: [*LEVELS].index(label.split("\n")[0]))
    budgets, handles = sorted(set(final["budget"])), list[Line2D]()
    for number, budget in enumerate(budgets):
        shift = 0.12 * (number - 0.5 * (len(budgets) - 1))
        shade = str(0.65 * (1.0 - (number + 1) / len(budgets)))
        look: style.Look = {"marker": "o", "color": shade}
        text = f"{budget:,} transitions"
        handles.append(Line2D([], [], linestyle="none", label=text, **look))
        for index, row in final[final["budget"] == budget].iterrows():
            place = labels.index(_level_label(row)) + shift
            own = look | {"capsize": 2.0, "elinewidth": 1.1}
            style.draw_intervals(ax, [place], final.loc[[index]], own)
    title = rows["problem"].iloc[0]
    ax.set_title(title if len(budgets) > 1 else f"{title}\n{budgets[0]:,} transitions")
    if len(budgets) > 1:
        ax.legend(handles=handles, loc="best", fontsize=8.0)
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)


def _level_label(row: pd.Series) -> str:
    level = str(row["information"])
    return f"{level}\n{row['belief']}" if row["belief"] else level


def information_errors(table: pd.DataFrame) -> Figure:
    """Error of one estimate against its samples by what the leader sees, a panel per problem.

    Of results/information_errors.csv, empty beliefs as ""; a placeholder if there are no rows.
    """
    if table.empty:
        return style.placeholder("Errors of watching leaders")
    problems = list(dict.fromkeys(table["problem"]))
    with style.theme():
        figure, (axes,) = style.new_figure(2.7 * len(problems), 4.6, 1, len(problems))
        for ax, problem in zip(axes, problems, strict=True):
            _errors(ax, table[table["problem"] == problem])
        axes[0].set_ylabel("error of an estimate / |dJ/dθ|")
        handles = [
            *level_handles(table),
            Line2D([], [], color="0.4", linestyle=":", label="critic with a constant step size"),
            Line2D([], [], color="0.5", linewidth=_THIN, label="slope −1/2"),
        ]
        style.legend_below(figure, handles, columns=5)
    return figure


def _errors(ax: Axes, rows: pd.DataFrame) -> None:
    for level, (_, colour, marker) in LEVELS.items():
        own = rows[rows["information"] == level]
        for critic, belief in sorted(set(zip(own["critic"], own["belief"], strict=True)))[::-1]:
            curve = own[(own["critic"] == critic) & (own["belief"] == belief)]
            # Larger and hollow where it may lie upon another.
            hollow = belief == "planned" or level == "actions"
            constant = critic == "learned" and "returns" in set(rows["critic"])
            slope, error = curve["slope"].iloc[0], curve["slope_error"].iloc[0]
            names = [level, *([belief] if belief else []), *(["constant step"] if constant else [])]
            fitted = style.number(slope, 2) + (f" ± {error:.2f}" if np.isfinite(error) else "")
            ax.errorbar(
                curve["env_steps"], curve["error"], curve["standard_error"], color=colour,
                marker=marker, linestyle=":" if constant else "-", linewidth=1.2, elinewidth=1.0,
                markersize=7.0 if hollow else 4.5, markerfacecolor="none" if hollow else colour,
                label=f"{', '.join(names)}: {fitted}",
            )  # fmt: skip
    ends = np.array([rows["env_steps"].min(), rows["env_steps"].max()])
    # Below all curves.
    last = 0.5 * (rows["error"] * np.sqrt(rows["env_steps"] / ends[1])).min()
    ax.plot(ends, last * np.sqrt(ends[1] / ends), color="0.5", linewidth=_THIN)
    ax.set_xscale("log")
    ax.set_yscale("log")
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)
    ax.set_title(f"{rows['problem'].iloc[0]}\n{rows['point'].iloc[0]}")
    ax.set_xlabel("transitions of the estimate")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=8.0, frameon=False,
        title="fitted slopes", title_fontsize=8.0, borderaxespad=0.0, handlelength=2.2,
    )  # fmt: skip


def level_handles(drawn: pd.DataFrame) -> list[Line2D]:
    """Legend entries of the levels of information in the rows that a figure shows."""
    present = set(drawn["information"])
    return [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=f"leader {label}")
        for level, (label, colour, marker) in LEVELS.items()
        if level in present
    ]


def total_samples(curves: pd.DataFrame) -> Figure:
    """J of BC-HG against the transitions of leader and follower in sum, a panel per problem.

    Of columns `LEARNING_CURVE_COLUMNS`; a placeholder if no follower learned.
    """
    problems = studied_in(curves, ("learning_follower",))
    if not problems:
        return style.placeholder("Samples of leader and follower")
    with style.theme():
        figure, (axes,) = style.new_figure(3.6 * len(problems), 3.4, 1, len(problems))
        seen = set[str]()
        for ax, problem in zip(axes, problems, strict=True):
            rows = curves[(curves["problem"] == problem) & (curves["estimator"] == "bc_hg")]
            learned = rows[rows["study"] == "learning_follower"]
            same = rows["variant"].isin(learned["variant"]) & rows["budget"].isin(learned["budget"])
            seen.update(rows.loc[same, "information"])
            for _, curve in rows[same].groupby("setting"):
                _, colour, _ = LEVELS[curve["information"].iloc[0]]
                solved = curve["follower"].iloc[0] == "exact"
                total = np.maximum(curve["env_steps"] + curve["follower_steps"], 1)
                ax.plot(total, curve["iqm"], color=colour, linestyle="-" if solved else "--",
                        linewidth=1.2)  # fmt: skip
            ax.set_xscale("log")
            ax.set_title(problem)
            ax.set_xlabel("transitions of leader and follower")
        axes[0].set_ylabel("leader return J(θ), IQM")
        solved, learns = "follower solved, free of charge", "follower learns"
        levels = [
            (f"leader {label}", colour)
            for level, (label, colour, _) in LEVELS.items()
            if level in seen
        ]
        handles = [Line2D([], [], color=c, label=text) for text, c in [*levels, (solved, "0.4")]]
        handles.append(Line2D([], [], color="0.4", linestyle="--", label=learns))
        style.legend_below(figure, handles, columns=3)
    return figure
