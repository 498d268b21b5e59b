"""Which figure shows which part of the results of BilevelLQR."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from bilevelrl.figures.ablation import ablation
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.problems.bilevel_lqr.behaviour_figure import return_histogram, state_trajectories
from bilevelrl.problems.bilevel_lqr.landscape_figure import lqr_landscape
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRParams

#: data/environments/bilevel_lqr/landscape.csv: J of the leader's gain.
LANDSCAPE_COLUMNS = ("k1", "k2", "leader_return")
#: data/environments/bilevel_lqr/simulations.csv: a few episodes under fixed gains.
SIMULATION_COLUMNS = ("gain", "episode", "step", "x1", "x2")
#: data/environments/bilevel_lqr/returns.csv: many episodes under the same gains.
RETURN_COLUMNS = ("gain", "leader_return")


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (*CURVES, "landscape", "ablation", "trajectories", "returns")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results, constants = source.results, source.block.constants
    temperature = results.temperatures[0]
    objective = f"{source.block.reported_return} leader return J(θ)"
    yield from game_figures(results, objective, "log")
    trajectories = at(source.trajectories, temperature=temperature)
    landscape = source.environment("landscape", LANDSCAPE_COLUMNS)
    yield "landscape", lqr_landscape(landscape, trajectories, objective)
    summary = at(results.summary, temperature=temperature)
    yield "ablation", ablation(summary, objective)
    assert isinstance(constants, BilevelLQRParams)
    places = zip(constants.target, constants.target_scale, strict=True)
    target = {f"x{number}": place for number, place in enumerate(places, start=1)}
    simulations = source.environment("simulations", SIMULATION_COLUMNS)
    yield "trajectories", state_trajectories(simulations, target)
    returns = source.environment("returns", RETURN_COLUMNS)
    yield "returns", return_histogram(returns)
