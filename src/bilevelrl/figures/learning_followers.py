"""What it costs that the follower has to learn."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bilevelrl.figures import style
from bilevelrl.figures.decentralised import FOLLOWERS, LEVELS, level_handles
from bilevelrl.figures.ticks import log_ticks


def follower_accuracy(summary: pd.DataFrame) -> Figure:
    """J and cosine of BC-HG against how much the follower loses, a row per problem.

    Of results/summary.csv with condition columns; a placeholder if no problem has two followers
    that are less than exact.
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
                    _, colour, marker = LEVELS[point["information"]]
                    fill = FOLLOWERS[point["follower"]][1]
                    ax.plot(
                        max(point["follower_value_gap"], 1e-12), point[metric], marker,
                        color=colour, fillstyle=fill, markerfacecoloralt="white",
                    )  # fmt: skip
                ax.set_xscale("log")
                log_ticks(ax.xaxis)
                ax.set_ylabel(text)
            row[0].set_title(problem, loc="left")
        for ax in axes[-1]:
            ax.set_xlabel("what the follower's soft return lacks at the end")
        drawn = inexact[inexact["problem"].isin(problems)]
        present = set(drawn["follower"])
        kinds = [
            Line2D([], [], color="0.4", marker="o", linestyle="none", fillstyle=fill,
                   markerfacecoloralt="white", label=f"follower: {label}")
            for name, (label, fill) in FOLLOWERS.items() if name in present
        ]  # fmt: skip
        style.legend_below(figure, [*level_handles(drawn), *kinds], columns=3)
    return figure


def follower_learning(followers: pd.DataFrame) -> Figure:
    """How fast followers learn against a leader that does not move, a column per follower.

    Of results/followers.csv; a placeholder if none learned.
    """
    if followers.empty:
        return style.placeholder("Followers that learn")
    columns = followers[["problem", "follower"]].drop_duplicates().to_numpy().tolist()
    measured = {
        "kl": "KL(learned ‖ best response)\nin the states that it visits",
        "relative_gap": "share of the soft\nreturn that is missing",
    }
    with style.theme():
        figure, axes = style.new_figure(2.4 * len(columns), 4.8, 2, len(columns), sharex="col")
        for row, (name, text) in zip(axes, measured.items(), strict=True):
            for ax, (problem, kind) in zip(row, columns, strict=True):
                alike = (followers["problem"] == problem) & (followers["follower"] == kind)
                own = followers[alike]
                seen = own[[f"{name}_{which}" for which in ("median", "min", "max")]].to_numpy()
                # What is no loss at all, up to the noise of measuring it, ends at the edge.
                positive = seen[np.isfinite(seen) & (seen > 0.0)]
                edge = 0.7 * positive.min() if positive.size else 1e-12
                for _, curve in own.groupby("temperature"):
                    line = ax.plot(curve["steps"], curve[f"{name}_median"], marker="o")[0]
                    low, high = np.maximum(curve[f"{name}_min"], edge), curve[f"{name}_max"]
                    style.draw_band(ax, curve["steps"], low, high, line.get_color())
                ax.set_xscale("log")
                ax.set_yscale("log")
                ax.set_ylim(bottom=edge)
                log_ticks(ax.xaxis)
                log_ticks(ax.yaxis)
            row[0].set_ylabel(text)
        for ax, (problem, kind) in zip(axes[0], columns, strict=True):
            ax.set_title(f"{problem}\n{FOLLOWERS[kind][0]}")
        for ax in axes[-1]:
            ax.set_xlabel("transitions")
        style.legend_below(figure, [style.band_handle("lowest to highest seed")], columns=1)
    return figure
