"""What an estimate misses, taken apart."""

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.problems.home_battery.error_split import SplitEstimator, split
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import ExactPlanner
from tests.problems.home_battery.cases import build, setting

RNG = np.random.default_rng(0)
EXACT, PLAYED = RNG.normal(size=(2, 3, 24))
ESTIMATES = PLAYED + 0.3 + RNG.normal(size=(6, 3, 24))
PARTS = ("lag_error", "belief_error", "variance_error")


def test_parts_sum_to_the_mean_squared_error() -> None:
    parts = split(EXACT, PLAYED, ESTIMATES)
    error = np.square(ESTIMATES - EXACT).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(sum(parts[name] for name in PARTS), error)
    np.testing.assert_allclose(parts["hypergradient_square"], np.square(EXACT).sum(axis=1))


def test_each_part_is_zero_where_it_must_be() -> None:
    assert not split(PLAYED, PLAYED, ESTIMATES)["lag_error"].any()
    same = np.repeat(PLAYED[None], 4, axis=0)
    certain = split(EXACT, PLAYED, same)
    assert not certain["variance_error"].any()
    assert not certain["belief_error"].any()
    np.testing.assert_allclose(certain["lag_error"], np.square(PLAYED - EXACT).sum(axis=1))
    wrong = split(PLAYED, PLAYED, same + 0.5)
    np.testing.assert_allclose(wrong["belief_error"], 24 * 0.25)


def test_few_replicates_tell_every_part_without_bias() -> None:
    belief, deviation, many = 0.3, 1.5, 4000
    drawn = PLAYED[0] + belief + deviation * RNG.normal(size=(3, many, 24))
    parts = split(np.tile(EXACT[0], (many, 1)), np.tile(PLAYED[0], (many, 1)), drawn)
    lag = PLAYED[0] - EXACT[0]
    expected = {
        "lag_error": (lag * (lag + belief)).sum(),
        "belief_error": (belief * (lag + belief)).sum(),
        "variance_error": 24 * deviation**2,
    }
    for name, wanted in expected.items():
        error = parts[name].std() / np.sqrt(many)
        assert abs(parts[name].mean() - wanted) < 4.0 * error, name
    # The square of the mean's own error would raise the belief by so much.
    assert 24 * deviation**2 / 3 > 8.0 * parts["belief_error"].std() / np.sqrt(many)


def test_one_estimate_has_no_variance() -> None:
    with pytest.raises(ValueError, match="estimates must be at least 2, got 1"):
        split(EXACT, PLAYED, ESTIMATES[:1])


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
