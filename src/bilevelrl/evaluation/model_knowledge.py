"""What a leader saves that knows its model, or identifies it: transitions to shares of the best J.

A share of the best known J is what `run_scores.share_of` says, for every problem: 95 % of a gain
is 0.95 times the best, 95 % of a loss one that is at most 1 / 0.95 times the smallest. A problem
whose best J nobody knows has no rows.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import GROUP
from bilevelrl.evaluation.run_scores import arrival_name, threshold_name
from bilevelrl.runs.evaluate_block import EvaluateParams

#: Sampled leaders by variant, one that identifies its model, and one that is told it.
LEADERS = ("published", "corrected", "improved", "identified", "exact")
#: The share of the best known J that decides between budgets.
DECISIVE = 0.95
#: Before a pair for each threshold: transitions to it, and how many of the seeds get there.
FIXED_COLUMNS = (
    "problem", "leader", "estimator", "variant", "information", "temperature", "return", "case",
    "setting", "budget", "seeds", "best_known", "leader_return_mean",
)  # fmt: skip


def arrived_name(fraction: float) -> str:
    """Name of the column "seeds that ever got to `fraction` of the best known J"."""
    return arrival_name(threshold_name(fraction)).replace("fraction_at", "arrived_at")


def with_leaders(table: pd.DataFrame, ours: str = "bc_hg") -> pd.DataFrame:
    """Rows of the leaders that are compared, and which of `LEADERS` each is as `leader`.

    These are the main comparison of `ours` and of the exact hypergradient, and what `ours` does in
    an identified model against a follower of a kind that the problem's main comparison has.

    Args:
        table: columns `GROUP` and `CONDITION_COLUMNS`.
        ours: the estimator.
    """
    main, own = table["study"] == "main", table["estimator"] == ours
    usual = pd.MultiIndex.from_frame(table.loc[main, ["problem", "follower"]])
    followed = pd.MultiIndex.from_frame(table[["problem", "follower"]]).isin(usual)
    identified = own & (table["study"] == "identified") & (table["model"] == "identified")
    leader = pd.Series(pd.NA, index=table.index, dtype="object")
    leader[own & main] = table["variant"]
    leader[identified & followed] = "identified"
    leader[main & (table["estimator"] == "exact")] = "exact"
    return table.assign(leader=leader)[leader.notna()]


def model_knowledge(summary: pd.DataFrame, params: EvaluateParams) -> pd.DataFrame:
    """Transitions to each share of the best known J, a row per leader.

    Of settings that differ in the transitions per update only, one is shown, and it is chosen by
    the same rule for every leader: of those in which at least half of the seeds get to `DECISIVE`,
    the one whose median is there first. Where there is none, the next smaller threshold decides,
    and so on; where there is none at any, the highest mean J. Ties go to the higher mean J, then to
    fewer transitions per update.

    Args:
        summary: columns `SUMMARY_COLUMNS` and `CONDITION_COLUMNS`.
        params: thresholds are used.

    Returns:
        Columns `FIXED_COLUMNS`, and for each threshold `threshold_name` (the median over seeds, as
        in `summary`: empty where fewer than half arrive) and `arrived_name`.
    """
    columns = [*FIXED_COLUMNS]
    for fraction in sorted(params.thresholds):
        columns += [threshold_name(fraction), arrived_name(fraction)]
    rows = _settings(with_leaders(summary), params)
    same = ["problem", "leader", "variant", "setting_without_budget"]
    chosen = [_first(own, params) for _, own in rows.groupby(same)]
    table = pd.DataFrame(chosen, columns=columns).astype({"seeds": "int64", "budget": "int64"})
    order = {name: place for place, name in enumerate(LEADERS)}
    return table.sort_values(
        ["problem", "leader", "variant", "temperature", "return", "information", "setting"],
        key=lambda column: column.map(order) if column.name == "leader" else column,
        ignore_index=True,
    )


def _settings(rows: pd.DataFrame, params: EvaluateParams) -> pd.DataFrame:
    """A row per setting of a problem with a best known J, and a column per metric that is used."""
    values = rows.pivot(index=GROUP, columns="metric", values="value")
    names = ["best_known", "leader_return_mean"]
    for fraction in params.thresholds:
        names += [threshold_name(fraction), arrival_name(threshold_name(fraction))]
    values = values.reindex(columns=names).reset_index()
    fixed = [name for name in FIXED_COLUMNS if name not in values]
    told = rows[[*GROUP, "setting_without_budget", *fixed]].drop_duplicates(GROUP)
    table = told.merge(values, on=GROUP)
    for fraction in params.thresholds:
        share = table.pop(arrival_name(threshold_name(fraction)))
        table[arrived_name(fraction)] = np.rint(share * table["seeds"])
    known = table[table["best_known"].notna()]
    return known.astype({arrived_name(fraction): "int64" for fraction in params.thresholds})


def _first(rows: pd.DataFrame, params: EvaluateParams) -> "pd.Series[float]":
    for name in _deciding(params):
        if rows[name].notna().any():
            return _ordered(rows[rows[name].notna()], name).iloc[0]
    return _ordered(rows).iloc[0]


def _deciding(params: EvaluateParams) -> Iterator[str]:
    for fraction in sorted(params.thresholds, reverse=True):
        if fraction <= DECISIVE:
            yield threshold_name(fraction)


def _ordered(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    keys = [*names, "leader_return_mean", "budget"]
    ascending = [name != "leader_return_mean" for name in keys]
    return rows.sort_values(keys, ascending=ascending)  # a mean that is unknown comes last
