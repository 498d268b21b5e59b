"""The constants of home battery, its houses and its grid."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.home_battery import profiles
from bilevelrl.problems.home_battery.demand import Demand, noise_values
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import Profiles, mean_days

Floats = NDArray[np.float64]


def test_seventeen_houses() -> None:
    found = mean_days(17)
    assert found.load.shape == found.solar.shape == (17, 24)
    assert (found.load[0, 0], found.solar[0, 12]) == (1.1198, 0.6863)
    assert found.load[16].min() > 0.0
    np.testing.assert_array_equal(mean_days(4).load, found.load[:4])
    assert not found.solar[:, [0, 1, 2, 3, 22, 23]].any()


@pytest.mark.parametrize("number", [0, 18, -1])
def test_refuses_houses_that_nobody_knows(number: int) -> None:
    with pytest.raises(ValueError, match=f"num_houses = {number}: 1 to 17 are known"):
        HomeBattery.of_houses(number)


def test_refuses_another_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "_DIGEST", "0" * 64)
    with pytest.raises(ValueError, match=r"home_battery_profiles.csv has SHA-256"):
        mean_days(1)


@pytest.mark.parametrize(
    ("load", "message"),
    [(np.ones((1, 23)), "load must have the shape"), (-np.ones((1, 24)), "load must be finite")],
)
def test_refuses_impossible_profiles(load: Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Profiles(load, np.ones((1, 24)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("capacity", 0.0, "capacity must be positive"),
        ("power", np.inf, "power must be positive"),
        ("solar_power", -1.0, "solar_power must be finite, not negative"),
        ("peak_weight", np.nan, "peak_weight must be finite"),
        ("tariff_weight", -0.1, "tariff_weight must be finite"),
        ("efficiency", 1.1, r"efficiency must lie in \(0, 1\], got 1.1"),
        ("noise", 0.6, "noise must lie in"),
        ("target", 1.5, r"target must lie in \[0, 1\]"),
        ("leader_discount", 0.0, "leader_discount must lie in"),
        ("follower_discount", 1.0, "follower_discount must lie in"),
        ("num_charges", 1, "num_charges must be at least 2"),
        ("num_actions", 40, "num_actions must be odd"),
        ("infeasible", "forbidden", "infeasible must be 'refused' or 'cut'"),
    ],
)
def test_refuses_impossible_constants(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HomeBattery.of_houses(1, **{name: value})


def test_noise_has_the_moments_of_a_normal() -> None:
    values, probability = noise_values(0.3)
    moments = [probability @ (values - 1.0) ** k for k in range(6)]
    np.testing.assert_allclose(moments, [1.0, 0.0, 0.09, 0.0, 3 * 0.09**2, 0.0], atol=1e-15)
    demand, profiles = HomeBattery.of_houses(1, noise=0.3).demand, mean_days(1)
    load, made = profiles.load, 4.0 * profiles.solar
    np.testing.assert_allclose(demand.mean, load - made)
    np.testing.assert_allclose(demand.variance, 0.09 * (load**2 + made**2), atol=1e-15)
    assert HomeBattery.of_houses(1).demand.net.shape == (1, 24, 1)


@pytest.mark.parametrize(
    ("net", "probability", "message"),
    [
        (np.ones((1, 24, 2)), np.ones(1), "net must be finite, of shape"),
        (np.full((1, 24, 1), np.nan), np.ones(1), "net must be finite"),
        (np.ones((1, 24, 2)), np.array([0.5, 0.6]), "probability must sum to 1"),
        (np.ones((1, 24, 2)), np.array([1.5, -0.5]), "probability must sum to 1"),
    ],
)
def test_refuses_impossible_demand(net: Floats, probability: Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Demand(net, probability)


def test_bought_energy_is_a_mean_over_the_noise() -> None:
    problem = HomeBattery.of_houses(1, noise=0.2)
    net, probability = problem.demand.net, problem.demand.probability
    for h, c, a in ((3, 7, 25), (12, 20, 18), (10, 32, 20)):
        assert problem.grid.allowed[c, a]
        expected = probability @ np.maximum(net[0, h] + problem.grid.action[a], 0.0)
        assert problem.bought[0, h, c, a] == pytest.approx(expected)
    theta = np.random.default_rng(0).uniform(0.1, 0.5, (2, 24))
    reward = problem.follower_reward(theta)
    assert reward[1, 0, 3, 7, 25] == pytest.approx(-theta[1, 3] * problem.bought[0, 3, 7, 25])


@pytest.mark.parametrize("infeasible", ["refused", "cut"])
def test_actions_move_the_charge_and_lose_energy_on_the_way(infeasible: str) -> None:
    grid = HomeBattery.of_houses(1, infeasible=infeasible).grid
    lower, share = grid.lower[grid.allowed], grid.share[grid.allowed]
    step = grid.charge[1]
    after = (lower + share) * step
    before = np.broadcast_to(grid.charge[:, None], grid.allowed.shape)[grid.allowed]
    energy = grid.energy[grid.allowed]
    eta = np.sqrt(0.9)
    stored = np.where(energy > 0.0, eta * energy, energy / eta)
    np.testing.assert_allclose(after, before + stored, atol=1e-9)
    np.testing.assert_allclose(grid.lost[grid.allowed], energy - stored)
    assert (grid.lost >= 0.0).all()
    assert (lower.min(), lower.max()) == (0, 31)
    assert ((share >= 0.0) & (share <= 1.0)).all()


def test_what_an_empty_and_a_full_battery_may_do() -> None:
    grid = HomeBattery.of_houses(1).grid
    assert grid.action[grid.allowed[0]].min() == 0.0
    assert grid.action[grid.allowed[-1]].max() == 0.0
    assert grid.action[grid.allowed[-1]].min() == -5.0
    cut = HomeBattery.of_houses(1, infeasible="cut").grid
    assert cut.allowed.all()
    assert not cut.energy[0, :20].any()


def test_the_tariff_costs_what_it_is_away_from_its_target() -> None:
    problem = HomeBattery.of_houses(1, leader_discount=0.9)
    theta = np.random.default_rng(0).uniform(0.1, 0.5, (2, 24))
    cost = [sum(0.5 * 0.9**h * (row[h] - 0.3) ** 2 for h in range(24)) for row in theta]
    np.testing.assert_allclose(problem.tariff_cost(theta), cost)
    move = 1e-6 * (np.arange(24) == 5)
    slope = (problem.tariff_cost(theta - move) - problem.tariff_cost(theta + move)) / 2e-6
    np.testing.assert_allclose(problem.tariff_slope(theta)[:, 5], slope, rtol=1e-6)
