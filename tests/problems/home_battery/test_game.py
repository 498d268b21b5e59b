"""Home battery as a game of the training loop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.exact import Exact
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import ExactPlanner, TruncatedPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery

Floats = NDArray[np.float64]
HOUSE = HomeBattery.of_houses(1)
TEMPERATURE = np.array([0.05, 0.1])
EXACT = ExactPlanner(HOUSE, TEMPERATURE)
GAME = BatteryGame(HOUSE, EXACT, EXACT, np.array([0.0, 0.5]))


def test_starts_at_or_around_the_flat_tariff() -> None:
    theta, memory = GAME.start(Streams([0, 1]))
    np.testing.assert_array_equal(theta[0], 0.30)
    assert theta[1].std() > 0.2
    assert ((theta >= 0.0) & (theta <= 1.0)).all()
    assert memory.shape == (2, 1, 33)


def test_exact_ascent_gets_to_the_best_tariff() -> None:
    rule = Projected(Adam(np.full(2, 0.03), decay=0.985), 0.0, 1.0)
    trained = train(GAME, Exact(GAME), Streams([0, 1]), rule=rule, num_updates=150, max_rows=5)
    assert GAME.optimal_return(trained.theta)[0] == pytest.approx(-0.914136, abs=2e-6)
    assert trained.curves["leader_return"][0, 0] < -0.9145
    np.testing.assert_allclose(trained.curves["cosine"], 1.0)
    costs = trained.coordinates["peak_cost"] + trained.coordinates["tariff_cost"]
    played = GAME.leader_return(*_answered(trained.theta))
    assert -costs[:, -1] == pytest.approx(played, abs=2e-3)


def _answered(theta: Floats) -> tuple[Floats, object]:
    return theta, EXACT.best(theta)


def test_zero_order_is_the_slope_along_its_direction() -> None:
    theta, memory = GAME.start(Streams([0, 1]))
    answer = GAME.respond(theta, memory, Streams([0, 1]))
    estimator = ZeroOrder(GAME, np.full(2, 1e-6))
    streams = Streams([0, 1])
    found = estimator.estimate(theta, answer, estimator.start(streams), streams).gradient
    direction = Streams([0, 1]).normals("zero_order", (24,))
    slope = (GAME.hypergradient(theta, answer).total * direction).sum(axis=1)
    np.testing.assert_allclose(found, slope[:, None] * direction, rtol=1e-3)


def test_errors_of_a_house_that_stops_planning() -> None:
    follower = TruncatedPlanner(HOUSE, TEMPERATURE, np.array([1, 1]))
    game = BatteryGame(HOUSE, follower, EXACT, np.array([0.0, 0.0]))
    theta, memory = game.start(Streams([0, 1]))
    truths = [
        game.ground_truth(theta, game.respond(theta, memory, Streams([0, 1]))) for _ in range(3)
    ]
    for truth in truths:
        np.testing.assert_allclose(truth.leader_return_optimal, game.optimal_return(theta))
    gaps = np.array([truth.follower_value_gap for truth in truths])
    assert (gaps[0] > 1e-3).all()
    assert (gaps[1:] < 0.1 * gaps[:-1]).all()
    divergences = np.array([truth.follower_kl for truth in truths])
    assert (divergences[1:] < 0.1 * divergences[:-1]).all()
    exact = GAME.ground_truth(theta, EXACT.best(theta))
    np.testing.assert_array_equal(exact.follower_kl, 0.0)
    np.testing.assert_allclose(exact.leader_return_optimal, game.optimal_return(theta))
    np.testing.assert_array_equal(exact.hypergradient, truths[0].hypergradient)


def test_the_soft_return_of_the_best_response_is_its_value() -> None:
    theta = np.random.default_rng(0).uniform(0.2, 0.4, (2, 24))
    best = EXACT.best(theta)
    np.testing.assert_allclose(
        GAME._soft_return(theta, best), best.value[:, 0, 0, 0], rtol=1e-9, atol=1e-9
    )
