"""How fast errors of the coupled estimate fall in ER(2, 1) itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ladder import Rung
from bilevelrl.problems.escape_room import ladder
from bilevelrl.runs.params import read_params
from bilevelrl.studies.fixed_theta import replicate
from bilevelrl.studies.gradient_errors import replication

Floats = NDArray[np.float64]
PROBLEM = read_params().problem("escape_room")
STUDY = PROBLEM.block.gradients
POINTS = ladder.points(PROBLEM, np.zeros(0))
(COUPLED, UNCOUPLED) = (
    next(rung for rung in ladder.LADDER if (rung.estimator, rung.note) == (name, ""))
    for name in ("bc_hg", "uncoupled")
)
#: From 1,600 episodes on; with fewer the bias of shrunk weights is the larger part.
BUDGETS = np.array([8000, 32_000, 128_000])
#: None of the study's.
SEEDS = range(10_000, 10_050)


def errors(rung: Rung, point: str) -> Floats:
    """Root mean square errors of the budgets."""
    found = []
    for budget in BUDGETS:
        task = replication(PROBLEM, rung, point, POINTS[point], int(budget), SEEDS)
        one = replicate(task)
        found.append(np.sqrt(np.square(one.estimates - one.exact).sum(axis=1).mean()))
    return np.array(found)


@pytest.mark.parametrize("point", ["update 0 of exact ascent", "update 10 of exact ascent"])
def test_errors_fall_with_the_root_of_the_episodes(point: str) -> None:
    assert (STUDY.players, STUDY.levers_needed) == (2, 1)
    slope = np.polyfit(np.log(BUDGETS), np.log(errors(COUPLED, point)), 1)[0]
    print(f"{point}: slope {slope:.3f}")
    assert -0.6 < slope < -0.4


def test_without_the_coupling_errors_do_not_fall() -> None:
    slope = np.polyfit(np.log(BUDGETS), np.log(errors(UNCOUPLED, "update 0 of exact ascent")), 1)[0]
    assert abs(slope) < 0.05
