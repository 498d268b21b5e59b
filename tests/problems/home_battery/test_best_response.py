"""The best response to the flat tariff, and how fast houses learn it."""

from typing import Any

import numpy as np
import pytest

from bilevelrl.problems.home_battery.best_response import learn, solve
from bilevelrl.problems.home_battery.cell import make_game
from tests.problems.home_battery.cases import BLOCK, PROBLEM, setting

PRICES = np.full((1, 24), 0.30)


def test_it_is_the_one_that_leaders_meet() -> None:
    solved = solve(PROBLEM, "improved", 0.05)
    game = make_game([setting("exact")], BLOCK.constants, PROBLEM.followers)
    answer = game.exact.best(PRICES)
    np.testing.assert_array_equal(solved.arrays["policy"], answer.policy[0])
    assert solved.found["accuracy"] <= PROBLEM.followers.tolerance
    soft = game._soft_return(PRICES, answer)[0]
    assert solved.found["start_value"] == pytest.approx(soft, abs=1e-6)
    kl = solved.convergence[solved.convergence["solver"] == "values"]["kl"].to_numpy()
    assert kl[0] > 0.01
    assert (kl[1:] < 1e-9).all()  # a second day differs by what is the same for all charges


def test_houses_learn_it_the_better_the_longer_they_live() -> None:
    own = BLOCK.learning.model_copy(update={"num_seeds": 2, "steps": (24_000, 240_000)})
    block = BLOCK.model_copy(update={"learning": own})
    problem: Any = type(PROBLEM)("home_battery", block, PROBLEM.followers)
    learned = learn(problem, 0.05, None)  # type: ignore[arg-type]
    assert learned.policy["policy"].shape == (2, 1, 24, 33, 41)
    for name in ("value_gap", "kl"):
        early, late = learned.curves.pivot(index="steps", columns="seed")[name].to_numpy()
        assert (late > 0.0).all()
        assert (late < 0.2 * early).all()
    solved = solve(PROBLEM, "improved", 0.05).found["start_value"]
    shown = learned.curves
    np.testing.assert_allclose(shown["relative_gap"], shown["value_gap"] / abs(solved), rtol=1e-6)
