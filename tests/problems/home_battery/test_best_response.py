"""The best response to the flat tariff, and how fast houses learn it."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from bilevelrl.problems.home_battery.best_response import learn, solve
from bilevelrl.problems.home_battery.cell import make_game
from bilevelrl.problems.home_battery.learned_houses import SacTask, learn_sac
from bilevelrl.runs.execution import run_tasks
from tests.problems.home_battery.cases import BLOCK, PARAMS, PROBLEM, setting

PRICES = np.full((1, 24), 0.30)
ALONE = partial(run_tasks, runtime=PARAMS.runtime.model_copy(update={"jobs": 1}))


def test_an_agent_that_diverges_has_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    best = make_game([setting("exact")], BLOCK.constants, PROBLEM.followers).exact
    rule = BLOCK.learner.sac.model_copy(
        update={"learning_rate": 1e30, "final_learning_rate": None, "learning_starts": 24}
    )
    curve, policy = learn_sac(SacTask(best, rule, 7, (48, 240)))
    assert policy is None
    assert list(curve["steps"]) == [48, 240]
    assert curve[["value_gap", "relative_gap", "kl"]].isna().all(axis=None)
    assert "SAC with seed 7 has no result" in capsys.readouterr().err


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
    sac = BLOCK.learning.sac.model_copy(update={"num_seeds": 1, "steps": (2400, 24_000)})
    own = {"num_seeds": 2, "steps": (24_000, 240_000), "sac": sac}
    block = BLOCK.model_copy(update={"learning": BLOCK.learning.model_copy(update=own)})
    problem: Any = type(PROBLEM)("home_battery", block, PROBLEM.followers)
    learned = learn(problem, 0.05, ALONE)
    assert learned.policy["policy"].shape == (2, 1, 24, 33, 41)
    assert learned.policy["sac_seed_0"].shape == (1, 24, 33, 41)
    shown = learned.curves
    assert dict(shown["follower"].value_counts()) == {"soft_q": 4, "sac": 2}
    for kind, share in (("soft_q", 0.2), ("sac", 0.6)):
        table = shown[shown["follower"] == kind].pivot(index="steps", columns="seed")
        for name in ("value_gap", "kl"):
            early, late = table[name].to_numpy()
            assert (late > 0.0).all()
            assert (late < share * early).all()
    solved = solve(PROBLEM, "improved", 0.05).found["start_value"]
    np.testing.assert_allclose(shown["relative_gap"], shown["value_gap"] / abs(solved), rtol=1e-6)
