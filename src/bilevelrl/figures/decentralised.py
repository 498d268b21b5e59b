"""What it costs that the leader only watches, and that the follower has to learn too."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    LogFormatterMathtext,
    LogLocator,
    NullFormatter,
    StrMethodFormatter,
)

from bilevelrl.figures import style

#: Level of information: label, colour and marker.
_LEVELS = {
    "full": ("reads V_F and policy", "#000000", "o"),
    "rewards": ("sees the follower's rewards", "#D55E00", "s"),
    "actions": ("sees its actions only", "#0072B2", "^"),
}
#: Kind of follower: label and fill.
_FOLLOWERS: dict[str, tuple[str, Literal["full", "left", "top", "none"]]] = {
    "exact": ("solved", "full"),
    "truncated": ("truncated solver", "left"),
    "soft_q": ("soft Q-learning", "none"),
    "sac": ("SAC", "top"),
}


def _studied(table: pd.DataFrame, studies: tuple[str, ...]) -> list[str]:
    """Problems in which BC-HG was studied, in the table's order."""
    rows = table[(table["estimator"] == "bc_hg") & table["study"].isin(studies)]
    return list(dict.fromkeys(rows["problem"]))


def information_levels(summary: pd.DataFrame) -> Figure:
    """Final J against what the leader sees of an exact follower, a panel per problem.

    Args:
        summary: results/summary.csv with condition columns.

    Returns:
        A placeholder if there is no such study.
    """
    problems = _studied(summary, ("information",))
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
    labels.sort(key=lambda label: [*_LEVELS].index(label.split("\n")[0]))
    budgets = sorted(set(final["budget"]))
    for number, budget in enumerate(budgets):
        shift = 0.12 * (number - 0.5 * (len(budgets) - 1))
        shade = str(0.65 * (1.0 - (number + 1) / len(budgets)))
        for _, row in final[final["budget"] == budget].iterrows():
            place = labels.index(_level_label(row)) + shift
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            ax.errorbar(place, row["value"], np.maximum(error, 0.0), marker="o", color=shade,
                        capsize=2.0, elinewidth=1.1)  # fmt: skip
    title = rows["problem"].iloc[0]
    ax.set_title(title if len(budgets) > 1 else f"{title}\n{budgets[0]:,} transitions")
    handles = [
        Line2D([], [], linestyle="none", marker="o", label=f"{budget:,} transitions",
               color=str(0.65 * (1.0 - (number + 1) / len(budgets))))
        for number, budget in enumerate(budgets)
    ]  # fmt: skip
    if len(budgets) > 1:
        ax.legend(handles=handles, loc="best", fontsize=8.0)
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)


def _level_label(row: pd.Series) -> str:
    level = str(row["information"])
    return f"{level}\n{row['belief']}" if row["belief"] else level


def information_errors(table: pd.DataFrame) -> Figure:
    """Error of one estimate against its samples by what the leader sees, a panel per problem.

    Args:
        table: results/information_errors.csv, empty beliefs as "".

    Returns:
        A placeholder if there are no rows.
    """
    if table.empty:
        return style.placeholder("Errors of watching leaders")
    problems = list(dict.fromkeys(table["problem"]))
    with style.theme():
        figure, (axes,) = style.new_figure(2.7 * len(problems), 4.6, 1, len(problems))
        for ax, problem in zip(axes, problems, strict=True):
            _errors(ax, table[table["problem"] == problem])
        axes[0].set_ylabel("error of an estimate / |dJ/dθ|")
        handles: list[Artist] = [
            *_level_handles(),
            Line2D([], [], color="0.4", linestyle=":", label="critic with a constant step size"),
            Line2D([], [], color="0.5", linewidth=_THIN, label="slope −1/2"),
        ]
        style.legend_below(figure, handles, columns=5)
    return figure


_THIN = 0.8


def _errors(ax: Axes, rows: pd.DataFrame) -> None:
    for level, (_, colour, marker) in _LEVELS.items():
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
    _log_ticks(ax.xaxis)
    _log_ticks(ax.yaxis)
    ax.set_title(f"{rows['problem'].iloc[0]}\n{rows['point'].iloc[0]}")
    ax.set_xlabel("transitions of the estimate")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=8.0, frameon=False,
        title="fitted slopes", title_fontsize=8.0, borderaxespad=0.0, handlelength=2.2,
    )  # fmt: skip


def _log_ticks(axis: Axis) -> None:
    """Powers of ten, or where hardly two are in sight, 1, 2 and 5 times these in plain numbers."""
    low, high = axis.get_view_interval()
    few = high < 50.0 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}") if few else LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())


def follower_accuracy(summary: pd.DataFrame) -> Figure:
    """J and cosine of BC-HG against how much the follower loses, a row per problem.

    Args:
        summary: results/summary.csv with condition columns.

    Returns:
        A placeholder if no problem has two followers that are less than exact.
    """
    studies = ["learning_follower", "truncated_follower"]
    inexact = summary[(summary["estimator"] == "bc_hg") & summary["study"].isin(studies)]
    followers = inexact.groupby("problem", sort=False)["setting"].nunique()
    problems = list(followers.index[followers > 1])
    if not problems:
        return style.placeholder("Follower accuracy")
    metrics = {
        "leader_return_final_iqm": "final J(θ), IQM",
        "cosine_mean": "cosine of one estimate\nwith the exact dJ/dθ",
    }
    with style.theme():
        figure, axes = style.new_figure(8.0, 2.6 * len(problems), len(problems), 2)
        for row, problem in zip(axes, problems, strict=True):
            own = inexact[inexact["problem"] == problem]
            own = own[own["metric"].isin(["follower_value_gap", *metrics])]
            key = ["variant", "setting", "follower", "information"]
            wide = own.pivot(index=key, columns="metric", values="value").reset_index()
            for ax, (metric, text) in zip(row, metrics.items(), strict=True):
                for _, point in wide.iterrows():
                    _, colour, marker = _LEVELS[point["information"]]
                    fill = _FOLLOWERS[point["follower"]][1]
                    ax.plot(
                        max(point["follower_value_gap"], 1e-12), point[metric], marker,
                        color=colour, fillstyle=fill, markerfacecoloralt="white",
                    )  # fmt: skip
                ax.set_xscale("log")
                _log_ticks(ax.xaxis)
                ax.set_ylabel(text)
            row[0].set_title(problem, loc="left")
        for ax in axes[-1]:
            ax.set_xlabel("what the follower's soft return lacks at the end")
        style.legend_below(figure, [*_level_handles(), *_follower_handles(summary)], columns=3)
    return figure


def _level_handles() -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=f"leader {label}")
        for label, colour, marker in _LEVELS.values()
    ]


def _follower_handles(summary: pd.DataFrame) -> list[Line2D]:
    present = [name for name in _FOLLOWERS if name in set(summary["follower"]) - {"exact"}]
    return [
        Line2D([], [], color="0.4", marker="o", linestyle="none", fillstyle=_FOLLOWERS[name][1],
               markerfacecoloralt="white", label=f"follower: {_FOLLOWERS[name][0]}")
        for name in present
    ]  # fmt: skip


def follower_learning(followers: pd.DataFrame) -> Figure:
    """How fast followers learn against a leader that does not move, a column per problem.

    Args:
        followers: results/followers.csv.

    Returns:
        A placeholder if none learned.
    """
    if followers.empty:
        return style.placeholder("Followers that learn")
    problems = list(dict.fromkeys(followers["problem"]))
    measured = {
        "kl": "KL(learned ‖ best response)\nin the states that it visits",
        "relative_gap": "share of the soft\nreturn that is missing",
    }
    with style.theme():
        figure, axes = style.new_figure(2.4 * len(problems), 4.8, 2, len(problems), sharex="col")
        for row, (name, text) in zip(axes, measured.items(), strict=True):
            for ax, problem in zip(row, problems, strict=True):
                own = followers[followers["problem"] == problem]
                seen = own[[f"{name}_{which}" for which in ("median", "min", "max")]].to_numpy()
                # What is no loss at all, up to the noise of measuring it, ends at the edge.
                positive = seen[np.isfinite(seen) & (seen > 0.0)]
                edge = 0.7 * positive.min() if positive.size else 1e-12
                for _, curve in own.groupby("temperature"):
                    line = ax.plot(curve["steps"], curve[f"{name}_median"], marker="o")[0]
                    low = np.maximum(curve[f"{name}_min"], edge)
                    ax.fill_between(
                        curve["steps"], low, curve[f"{name}_max"], color=line.get_color(),
                        alpha=style.BAND_ALPHA, linewidth=0.0,
                    )  # fmt: skip
                ax.set_xscale("log")
                ax.set_yscale("log")
                ax.set_ylim(bottom=edge)
                _log_ticks(ax.xaxis)
                _log_ticks(ax.yaxis)
            row[0].set_ylabel(text)
        for ax, problem in zip(axes[0], problems, strict=True):
            kind = followers[followers["problem"] == problem]["follower"].iloc[0]
            ax.set_title(f"{problem}\n{_FOLLOWERS[kind][0]}")
        for ax in axes[-1]:
            ax.set_xlabel("transitions")
        style.legend_below(figure, [style.band_handle("lowest to highest seed")], columns=1)
    return figure


def total_samples(curves: pd.DataFrame) -> Figure:
    """J of BC-HG against the transitions of leader and follower in sum, a panel per problem.

    Args:
        curves: data/evaluate/learning_curves.parquet with condition columns.

    Returns:
        A placeholder if no follower learned.
    """
    problems = _studied(curves, ("learning_follower",))
    if not problems:
        return style.placeholder("Samples of leader and follower")
    with style.theme():
        figure, (axes,) = style.new_figure(3.6 * len(problems), 3.4, 1, len(problems))
        for ax, problem in zip(axes, problems, strict=True):
            rows = curves[(curves["problem"] == problem) & (curves["estimator"] == "bc_hg")]
            learned = rows[rows["study"] == "learning_follower"]
            same = rows["variant"].isin(learned["variant"]) & rows["budget"].isin(learned["budget"])
            for _, curve in rows[same].groupby("setting"):
                _, colour, _ = _LEVELS[curve["information"].iloc[0]]
                solved = curve["follower"].iloc[0] == "exact"
                total = np.maximum(curve["env_steps"] + curve["follower_steps"], 1)
                ax.plot(total, curve["iqm"], color=colour, linestyle="-" if solved else "--",
                        linewidth=1.2)  # fmt: skip
            ax.set_xscale("log")
            ax.set_title(problem)
            ax.set_xlabel("transitions of leader and follower")
        axes[0].set_ylabel("leader return J(θ), IQM")
        levels = [
            Line2D([], [], color=colour, label=f"leader {label}")
            for label, colour, _ in _LEVELS.values()
        ]
        kinds = [
            Line2D([], [], color="0.4", linestyle="-", label="follower solved, free of charge"),
            Line2D([], [], color="0.4", linestyle="--", label="follower learns"),
        ]
        style.legend_below(figure, [*levels, *kinds], columns=3)
    return figure
