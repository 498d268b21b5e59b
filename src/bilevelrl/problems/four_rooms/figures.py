"""Which figure shows which part of the FourRooms results."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.evaluation.conditions import spread_study
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.evaluation.reference import published_means
from bilevelrl.figures.final_return import final_return
from bilevelrl.figures.gallery import Results, Source, at, best_known_of, studied, truncated_study
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.figures.truncated_follower import truncated_follower
from bilevelrl.problems.four_rooms.initial_spread_figure import initial_spread
from bilevelrl.problems.four_rooms.outcomes import MAP_COLUMNS
from bilevelrl.problems.four_rooms.penalty_maps import penalty_maps
from bilevelrl.problems.four_rooms.problem import MAP
from bilevelrl.problems.four_rooms.sample_cost_figure import sample_cost
from bilevelrl.problems.four_rooms.settings import FourRoomsLeaders
from bilevelrl.runs.table_files import read_parquet


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (
        "learning_curves_updates", "learning_curves_env_steps", "final_return", "penalty_maps",
        "gradient_quality", "truncated_follower", "initial_spread", "sample_cost",
    )  # fmt: skip


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results, temperatures = source.results, source.results.temperatures
    folder = source.root / "data" / "evaluate" / results.problem
    maps = read_parquet(folder / "penalty_maps.parquet", MAP_COLUMNS)
    curves = read_parquet(folder / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    for temperature in temperatures:
        suffix = "" if temperature == temperatures[0] else f"_temperature_{temperature:g}"
        for name, figure in _at_temperature(results, maps, temperature):
            yield name + suffix, figure
        best = best_known_of(at(results.summary, temperature=temperature))
        yield "sample_cost" + suffix, sample_cost(at(curves, temperature=temperature), best)
    yield "truncated_follower", truncated_follower(truncated_study(results))
    training = source.block.training
    assert isinstance(training, FourRoomsLeaders)
    spread = spread_study(results.summary).fillna({"initial_spread": training.initial_spread})
    yield "initial_spread", initial_spread(studied(spread, "initial_spread", temperatures))
    yield "gradient_quality", gradient_quality(results.gradients)


def _at_temperature(
    results: Results, maps: pd.DataFrame, temperature: float
) -> Iterator[tuple[str, Figure]]:
    main = at(results.summary, temperature=temperature, study="main")
    best = best_known_of(main)
    curves = at(results.curves, temperature=temperature)
    published = at(results.published, temperature=temperature)
    yield "learning_curves_updates", learning_curves(curves, published, best, "update")
    yield "learning_curves_env_steps", learning_curves(curves, published, best, "env_steps")
    means = at(published_means(results.published), temperature=temperature)
    yield "final_return", final_return(main, means, best)
    marks = {
        letter: (row, line.index(letter))
        for row, line in enumerate(MAP)
        for letter in "SG+"
        if letter in line
    }
    own = at(maps, temperature=temperature)
    budgets = sorted(set(own["budget"]) - {0}) or [0]
    for budget in budgets:
        suffix = "" if budget == budgets[0] else f"_budget_{budget}"
        yield "penalty_maps" + suffix, penalty_maps(own[own["budget"].isin([budget, 0])], marks)
