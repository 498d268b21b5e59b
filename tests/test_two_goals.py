"""The benchmark of HPGD's nine cells: AMD itself, in the game of the goal that an update drew."""

import numpy as np
import pytest

from benchmarks import two_goals
from benchmarks.two_goals import Case, Climb


def test_amd_follows_the_goal_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_goals, "SWEEPS", 3_000)  # until nothing is left of where it began
    case = Case(0.005, 1.0, 0.5, 0.0, 7)
    literal, exact = Climb([case], literal=True), Climb([case])
    np.testing.assert_array_equal(literal.goals, exact.goals)
    theta = 0.3 * np.random.default_rng(3).standard_normal((1, 105))
    first, other = (int(np.flatnonzero(literal.goals[0] == goal)[0]) for goal in (0, 1))
    gradients = []
    for update in (first, other):
        found, wanted = (each.gradient(theta, update)[0] for each in (literal, exact))
        assert np.linalg.norm(found - wanted) < 1e-6 * np.linalg.norm(wanted)
        gradients.append(found)
    assert np.linalg.norm(gradients[0] - gradients[1]) > 0.1 * np.linalg.norm(gradients[0])


def test_only_the_tables_of_that_goal_are_swept() -> None:
    climb = Climb([Case(0.005, 1.0, 0.5, 0.0, 7)], literal=True)
    goal = int(climb.goals[0, 0])
    climb.gradient(np.zeros((1, 105)), 0)
    assert climb.memories[goal]["leader"].any()
    assert not climb.memories[1 - goal]["leader"].any()
