"""Which figure shows which part of the results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.final_return import final_return
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.initial_spread import initial_spread
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.figures.penalty_maps import penalty_maps
from bilevelrl.figures.truncated_follower import truncated_follower

#: Written whatever the grid; further temperatures and budgets add names with a suffix.
NAMES = (
    "learning_curves_updates",
    "learning_curves_env_steps",
    "final_return",
    "penalty_maps",
    "gradient_quality",
    "truncated_follower",
    "initial_spread",
)


@dataclass(frozen=True, eq=False)
class Results:
    """The tables of one problem that figures are drawn from.

    Attributes:
        summary: results/summary.csv with condition columns.
        spread: the initial-spread study, default spread included.
        curves: data/evaluate/learning_curves.parquet.
        maps: data/evaluate/penalty_maps.parquet.
        gradients: results/gradients.csv.
        published: published curves.
        published_means: their last 1,000 updates.
        marks: letter -> (row, column) to write on maps.
    """

    summary: pd.DataFrame
    spread: pd.DataFrame
    curves: pd.DataFrame
    maps: pd.DataFrame
    gradients: pd.DataFrame
    published: pd.DataFrame
    published_means: pd.DataFrame
    marks: dict[str, tuple[int, int]]


def gallery(results: Results, temperatures: Sequence[float]) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory.

    Args:
        results: of one problem.
        temperatures: the first one gets the plain names of `NAMES`.
    """
    for temperature in temperatures:
        suffix = "" if temperature == temperatures[0] else f"_temperature_{temperature:g}"
        for name, figure in _at_temperature(results, temperature):
            yield name + suffix, figure
    truncated = _at(results.summary, study="truncated_follower")
    study = _studied(truncated, "truncated_follower", temperatures)
    study = _at(study, budget=study["budget"].min())
    yield "truncated_follower", truncated_follower(study)
    yield (
        "initial_spread",
        initial_spread(_studied(results.spread, "initial_spread", temperatures)),
    )
    yield "gradient_quality", gradient_quality(results.gradients)


def _studied(table: pd.DataFrame, study: str, temperatures: Sequence[float]) -> pd.DataFrame:
    """Rows at the first temperature at which the study was made; none if it was not made."""
    made = set(_at(table, study=study)["temperature"])
    chosen = next((temperature for temperature in temperatures if temperature in made), None)
    return _at(table, temperature=chosen)


def _at(table: pd.DataFrame, **conditions: object) -> pd.DataFrame:
    for column, value in conditions.items():
        table = table[table[column] == value]
    return table


def _at_temperature(results: Results, temperature: float) -> Iterator[tuple[str, Figure]]:
    main = _at(results.summary, temperature=temperature, study="main")
    best = _at(main, metric="best_known").drop_duplicates("variant")
    best = best[["variant", "value"]].rename(columns={"value": "best_known"})
    curves = _at(results.curves, temperature=temperature)
    published = _at(results.published, temperature=temperature)
    yield "learning_curves_updates", learning_curves(curves, published, best, "update")
    yield "learning_curves_env_steps", learning_curves(curves, published, best, "env_steps")
    means = _at(results.published_means, temperature=temperature)
    yield "final_return", final_return(main, means, best)
    yield from _maps(_at(results.maps, temperature=temperature), results.marks)


def _maps(maps: pd.DataFrame, marks: dict[str, tuple[int, int]]) -> Iterator[tuple[str, Figure]]:
    budgets = sorted(set(maps["budget"]) - {0})
    for budget in budgets or [0]:
        suffix = "" if budget == (budgets or [0])[0] else f"_budget_{budget}"
        yield "penalty_maps" + suffix, penalty_maps(maps[maps["budget"].isin([budget, 0])], marks)
