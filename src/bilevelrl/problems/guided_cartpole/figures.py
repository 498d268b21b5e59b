"""Which figure shows which part of the results of the guided cart-pole."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Source, at, best_known_of
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.runs.table_files import read_parquet

#: What `problems.guided_cartpole.game.outcomes` are called on a figure.
_OUTCOMES = {
    "share_in_goal": "share of the steps in the goal",
    "final_position": "where the cart ends, metres",
    "episode_length": "steps until the pole falls",
}


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return ("learning_curves", "planned_learning_curves", "behaviour")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results = source.results
    temperature = results.temperatures[0]
    best = best_known_of(at(results.summary, temperature=temperature, study="main"))
    curves = at(results.curves, temperature=temperature)
    yield "learning_curves", learning_curves(curves, results.published, best, "update")
    folder = source.root / "data" / "evaluate" / results.problem
    every = read_parquet(folder / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    planned = at(every, temperature=temperature, study="identified")
    both = _beside(planned, curves[curves["estimator"].isin(planned["estimator"])])
    yield "planned_learning_curves", learning_curves(both, results.published, best, "update")
    played = at(source.trajectories, temperature=temperature)
    yield "behaviour", coordinate_panels(played, _OUTCOMES, 3, "Behaviour")


def _beside(planned: pd.DataFrame, sampled: pd.DataFrame) -> pd.DataFrame:
    """Learning curves of both kinds of leaders, a panel for each."""
    parts = {"leaders that sample": sampled, "leaders that plan": planned}
    return pd.concat([rows.assign(case=case) for case, rows in parts.items()])
