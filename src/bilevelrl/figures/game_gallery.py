"""Which figure shows which part of the results of the games in which the leader acts."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.ablation import ablation
from bilevelrl.figures.against_published import against_published
from bilevelrl.figures.gallery import NAMES, Results, at, best_known_of, truncated_study
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.learning_curves import Scale, learning_curves
from bilevelrl.figures.lqr_behaviour import Target, return_histogram, state_trajectories
from bilevelrl.figures.lqr_landscape import lqr_landscape
from bilevelrl.figures.toy_landscape import toy_landscape
from bilevelrl.figures.truncated_follower import truncated_follower


@dataclass(frozen=True, eq=False)
class GameTables:
    """What every game has.

    Attributes:
        landscape: data/environments/<problem>/landscape.csv.
        trajectories: data/evaluate/trajectories.parquet.
        returns: how J is reported, "discounted" or "undiscounted".
    """

    landscape: pd.DataFrame
    trajectories: pd.DataFrame
    returns: str


@dataclass(frozen=True, eq=False)
class LQRTables:
    """What only the LQR has.

    Attributes:
        simulations: data/environments/bilevel_lqr/simulations.csv.
        returns: data/environments/bilevel_lqr/returns.csv.
        target: where the leader wants the state.
    """

    simulations: pd.DataFrame
    returns: pd.DataFrame
    target: Target


def toy_gallery(results: Results, tables: GameTables) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    problem, temperature = results.problem, results.temperatures[0]
    yield from game_figures(results, _objective(tables.returns), "linear")
    landscape = tables.landscape.rename(columns={tables.returns: "leader_return"})
    trajectories = at(tables.trajectories, temperature=temperature)
    yield f"{problem}_landscape", toy_landscape(landscape, trajectories, _objective(tables.returns))
    name = f"{problem}_truncated_follower"
    study = truncated_study(results)
    if name in NAMES[problem] or len(study):
        yield name, truncated_follower(study, "sweeps of soft Q iteration")


def lqr_gallery(
    results: Results, tables: GameTables, further: LQRTables
) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    problem, temperature = results.problem, results.temperatures[0]
    objective = _objective(tables.returns)
    yield from game_figures(results, objective, "log")
    trajectories = at(tables.trajectories, temperature=temperature)
    yield f"{problem}_landscape", lqr_landscape(tables.landscape, trajectories, objective)
    summary = at(results.summary, temperature=temperature)
    yield f"{problem}_ablation", ablation(summary, objective)
    figure = state_trajectories(further.simulations, further.target)
    yield f"{problem}_trajectories", figure
    yield f"{problem}_returns", return_histogram(further.returns)


def _objective(returns: str) -> str:
    return f"{returns} leader return J(θ)"


def game_figures(results: Results, objective: str, scale: Scale) -> Iterator[tuple[str, Figure]]:
    """What every problem but FourRooms shows: curves, the published ones, gradient quality."""
    problem = results.problem
    for temperature in results.temperatures:
        first = temperature == results.temperatures[0]
        suffix = "" if first else f"_temperature_{temperature:g}"
        best = best_known_of(at(results.summary, temperature=temperature, study="main"))
        curves = at(results.curves, temperature=temperature)
        published = at(results.published, temperature=temperature)
        masked = at(results.masked, temperature=temperature)
        yield (
            f"{problem}_learning_curves{suffix}",
            learning_curves(curves, published, best, "update", objective=objective, scale=scale),
        )
        yield (
            f"{problem}_learning_curves_env_steps{suffix}",
            learning_curves(curves, published, best, "env_steps", objective=objective, scale=scale),
        )
        yield (
            f"{problem}_against_published{suffix}",
            against_published(curves, published, masked, objective, scale),
        )
    yield f"{problem}_gradient_quality", gradient_quality(results.gradients)
