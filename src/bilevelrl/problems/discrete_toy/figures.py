"""Which figure shows which part of the results of a discrete toy."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from bilevelrl.figures.gallery import Source, at, truncated_study
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.figures.truncated_follower import truncated_follower
from bilevelrl.problems.discrete_toy.landscape_figure import toy_landscape

#: data/environments/<toy>/landscape.csv: J of a leader that plays 1 in A with a probability,
#: against the follower of a variant.
LANDSCAPE_COLUMNS = ("variant", "probability", "discounted", "undiscounted")


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (*CURVES, "landscape")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results = source.results
    temperature = results.temperatures[0]
    returns = source.block.reported_return or ""
    objective = f"{returns} leader return J(θ)"
    yield from game_figures(results, objective, "linear")
    landscape = source.environment("landscape", LANDSCAPE_COLUMNS)
    landscape = landscape.rename(columns={returns: "leader_return"})
    trajectories = at(source.trajectories, temperature=temperature)
    yield "landscape", toy_landscape(landscape, trajectories, objective)
    study = truncated_study(results)
    if len(study):
        yield "truncated_follower", truncated_follower(study, "sweeps of soft Q iteration")
