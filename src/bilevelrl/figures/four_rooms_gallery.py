"""Which figure shows which part of the FourRooms results."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.final_return import final_return
from bilevelrl.figures.gallery import Results, at, best_known_of, studied, truncated_study
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.initial_spread import initial_spread
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.figures.penalty_maps import penalty_maps
from bilevelrl.figures.truncated_follower import truncated_follower


@dataclass(frozen=True, eq=False)
class FourRoomsTables:
    """What only this problem has.

    Attributes:
        spread: the initial-spread study, default spread included.
        maps: data/evaluate/penalty_maps.parquet.
        published_means: last 1,000 updates of the published curves.
        marks: letter -> (row, column) to write on maps.
    """

    spread: pd.DataFrame
    maps: pd.DataFrame
    published_means: pd.DataFrame
    marks: dict[str, tuple[int, int]]


def four_rooms_gallery(results: Results, tables: FourRoomsTables) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    temperatures = results.temperatures
    for temperature in temperatures:
        suffix = "" if temperature == temperatures[0] else f"_temperature_{temperature:g}"
        for name, figure in _at_temperature(results, tables, temperature):
            yield name + suffix, figure
    yield "truncated_follower", truncated_follower(truncated_study(results))
    spread = studied(tables.spread, "initial_spread", temperatures)
    yield "initial_spread", initial_spread(spread)
    yield "gradient_quality", gradient_quality(results.gradients)


def _at_temperature(
    results: Results, tables: FourRoomsTables, temperature: float
) -> Iterator[tuple[str, Figure]]:
    main = at(results.summary, temperature=temperature, study="main")
    best = best_known_of(main)
    curves = at(results.curves, temperature=temperature)
    published = at(results.published, temperature=temperature)
    yield "learning_curves_updates", learning_curves(curves, published, best, "update")
    yield "learning_curves_env_steps", learning_curves(curves, published, best, "env_steps")
    means = at(tables.published_means, temperature=temperature)
    yield "final_return", final_return(main, means, best)
    yield from _maps(at(tables.maps, temperature=temperature), tables.marks)


def _maps(maps: pd.DataFrame, marks: dict[str, tuple[int, int]]) -> Iterator[tuple[str, Figure]]:
    budgets = sorted(set(maps["budget"]) - {0})
    for budget in budgets or [0]:
        suffix = "" if budget == (budgets or [0])[0] else f"_budget_{budget}"
        yield "penalty_maps" + suffix, penalty_maps(maps[maps["budget"].isin([budget, 0])], marks)
