"""Which figure shows which part of the results of BilevelLQR."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from bilevelrl.figures.ablation import ablation
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.problems.bilevel_lqr.behaviour_figure import return_histogram, state_trajectories
from bilevelrl.problems.bilevel_lqr.landscape_figure import lqr_landscape
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRParams


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
    landscape = source.environment("landscape", ("k1", "k2", "leader_return"))
    yield "landscape", lqr_landscape(landscape, trajectories, objective)
    yield "ablation", ablation(at(results.summary, temperature=temperature), objective)
    assert isinstance(constants, BilevelLQRParams)
    places = zip(constants.target, constants.target_scale, strict=True)
    target = {f"x{number}": place for number, place in enumerate(places, start=1)}
    simulations = source.environment("simulations", ("gain", "episode", "step", "x1", "x2"))
    yield "trajectories", state_trajectories(simulations, target)
    returns = source.environment("returns", ("gain", "leader_return"))
    yield "returns", return_histogram(returns)
