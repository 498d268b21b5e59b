"""What an estimate misses, taken apart."""

import numpy as np

from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.problems.home_battery.error_split import SplitEstimator
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import ExactPlanner
from tests.problems.home_battery.cases import build, setting


def test_is_recorded_where_houses_lag_and_changes_nothing() -> None:
    lagging = {"kind": "truncated", "start": "reset", "days": 1}
    own = setting("bc_hg", "improved", follower=lagging, num_updates=4, days_per_update=8)
    built = build("bc_hg", [own])
    estimator = built.estimator
    assert isinstance(estimator, SplitEstimator)
    assert estimator.interval == 1
    found = [
        train(built.game, each, Streams([3]), rule=built.rule, num_updates=4, max_rows=4)
        for each in (estimator, estimator.estimator)
    ]
    np.testing.assert_array_equal(found[0].theta, found[1].theta)
    assert (found[0].coordinates["lag_error"] != 0.0).all()
    assert "lag_error" not in found[1].coordinates


def test_houses_that_play_their_best_response_do_not_lag() -> None:
    own = setting("bc_hg", "improved", num_updates=2, days_per_update=8)
    built = build("bc_hg", [own])
    assert not isinstance(built.estimator, SplitEstimator)
    exact = built.game.exact
    same = ExactPlanner(exact.problem, exact.temperature, exact.tolerance)
    game = BatteryGame(exact.problem, same, exact, np.zeros(1))
    estimator = SplitEstimator(built.estimator, game, 2, 1)
    trained = train(game, estimator, Streams([3]), rule=built.rule, num_updates=2, max_rows=2)
    norm = trained.coordinates["hypergradient_square"]
    assert (np.abs(trained.coordinates["lag_error"]) < 1e-9 * norm).all()
    assert (trained.coordinates["variance_error"] > 1e-3 * norm).all()
