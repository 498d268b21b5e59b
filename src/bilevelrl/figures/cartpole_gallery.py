"""Which figure shows which part of the results of the guided cart-pole."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Results, at, best_known_of
from bilevelrl.figures.learning_curves import learning_curves

#: What `cartpole_game.outcomes` are called on a figure.
_OUTCOMES = {
    "share_in_goal": "share of the steps in the goal",
    "final_position": "where the cart ends, metres",
    "episode_length": "steps until the pole falls",
}


def cartpole_gallery(results: Results, trajectories: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory.

    Args:
        results: of the problem.
        trajectories: data/evaluate/trajectories.parquet with condition columns.
    """
    problem, temperature = results.problem, results.temperatures[0]
    best = best_known_of(at(results.summary, temperature=temperature, study="main"))
    curves = at(results.curves, temperature=temperature)
    yield f"{problem}_learning_curves", learning_curves(curves, results.published, best, "update")
    played = at(trajectories, temperature=temperature)
    yield f"{problem}_behaviour", coordinate_panels(played, _OUTCOMES, 3, "Behaviour")
