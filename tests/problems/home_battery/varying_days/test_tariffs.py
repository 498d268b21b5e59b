"""What sets prices: where it starts, and that gradients go back to θ."""

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.tariffs import (
    NetworkPrices,
    PricesOfTypes,
    SamePrices,
    Tariff,
)
from tests.problems.home_battery.varying_days.days import Floats, planner, small

PROBLEM = small()
TARIFFS = [SamePrices(9), PricesOfTypes(9), NetworkPrices(PROBLEM, 6)]


def near_flat(tariff: Tariff) -> Floats:
    theta = tariff.start(2, Streams([4, 5]))
    return theta + np.random.default_rng(0).normal(0.0, 0.05, theta.shape)


@pytest.mark.parametrize("tariff", TARIFFS, ids=lambda each: type(each).__name__)
def test_starts_at_the_flat_tariff(tariff: Tariff) -> None:
    theta = tariff.start(2, Streams([4, 5]))
    assert theta.shape == (2, tariff.num_parameters)
    np.testing.assert_allclose(tariff.prices(theta), np.full((2, 9, 24), 0.30), rtol=1e-12)


@pytest.mark.parametrize("tariff", TARIFFS, ids=lambda each: type(each).__name__)
def test_the_hypergradient_is_that_of_finite_differences(tariff: Tariff) -> None:
    game = VaryingGame(tariff, planner(PROBLEM))
    theta = near_flat(tariff)
    truth = game.hypergradient(theta, game.respond(theta, game.exact.start(2), Streams([4, 5])))
    np.testing.assert_allclose(truth.leader_return, game.optimal_return(theta), rtol=1e-12)
    generator = np.random.default_rng(1)
    for _ in range(4):
        move = 1e-5 * generator.standard_normal(theta.shape)
        slope = (game.optimal_return(theta + move) - game.optimal_return(theta - move)) / 2.0
        expected = (truth.total * move).sum(axis=1)
        scale = np.linalg.norm(truth.total, axis=1) * np.linalg.norm(move, axis=1)
        assert (np.abs(slope - expected) < 1e-6 * scale).all()


def test_a_network_reads_hour_and_forecast_and_nothing_else() -> None:
    tariff = TARIFFS[2]
    assert isinstance(tariff, NetworkPrices)
    inputs = tariff.inputs.reshape(9, 24, 28)
    np.testing.assert_array_equal(inputs[:, :, :24], np.broadcast_to(np.eye(24), (9, 24, 24)))
    np.testing.assert_array_equal(inputs[:, :, 24:26], PROBLEM.forecast)
    likely = PROBLEM.types.probability
    for place, factors in ((26, PROBLEM.types.load), (27, PROBLEM.types.solar)):
        np.testing.assert_allclose(inputs[:, 0, place], (factors - 1.0) / 0.2, atol=1e-12)
        assert (likely * inputs[:, 5, place] ** 2).sum() == pytest.approx(1.0)
    alike = NetworkPrices(small(spread=0.0), 6)
    np.testing.assert_array_equal(alike.inputs[:, 26:], 0.0)


def test_prices_of_a_network_stay_between_zero_and_one() -> None:
    tariff = TARIFFS[2]
    prices = tariff.prices(near_flat(tariff) * 30.0)
    assert ((prices >= 0.0) & (prices <= 1.0)).all()
    assert prices.std() > 0.1


def test_a_network_is_its_own_in_every_batch() -> None:
    tariff = TARIFFS[2]
    both = tariff.start(2, Streams([4, 5]))
    np.testing.assert_array_equal(tariff.start(1, Streams([5]))[0], both[1])
    theta = near_flat(tariff)
    slope = np.random.default_rng(2).standard_normal((2, 9, 24))
    np.testing.assert_array_equal(
        tariff.pull_back(theta[1:], slope[1:])[0], tariff.pull_back(theta, slope)[1]
    )
