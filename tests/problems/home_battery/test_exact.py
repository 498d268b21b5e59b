"""J and its hypergradient: the specification's numbers, finite differences, a second derivation."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.home_battery import exact
from bilevelrl.problems.home_battery.demand import demand_of
from bilevelrl.problems.home_battery.exact import (
    components,
    exact_hypergradient,
    leader_return,
    mean_day,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import Profiles
from tests.problems.home_battery.literal import (
    FIRST_LOAD,
    FIRST_SOLAR,
    FLAT,
    TIME_OF_USE,
    House,
)

Floats = NDArray[np.float64]
FIRST_DAY = HomeBattery(
    demand_of(Profiles(FIRST_LOAD[None], FIRST_SOLAR[None]), noise=0.0),
    leader_discount=1.0,
    tariff_weight=0.0,
)
MEAN_DAY = HomeBattery.of_houses(1)


def played(problem: HomeBattery, theta: Floats, temperature: float) -> dict[str, float]:
    policy = ExactPlanner(problem, np.full(len(theta), temperature)).best(theta).policy
    days = mean_day(problem, policy)
    found = components(problem, theta, days) | {"J": leader_return(problem, theta, days)}
    return {name: float(value[0]) for name, value in found.items()}


def returns(problem: HomeBattery, theta: Floats, temperature: Floats) -> Floats:
    policy = ExactPlanner(problem, temperature, tolerance=1e-13).best(theta).policy
    return leader_return(problem, theta, mean_day(problem, policy))


def test_without_a_battery() -> None:
    idle = np.zeros((1, 1, 24, *FIRST_DAY.grid.energy.shape))
    idle[..., FIRST_DAY.num_actions // 2] = 1.0
    days = mean_day(FIRST_DAY, idle)
    assert leader_return(FIRST_DAY, FLAT[None], days) == pytest.approx(-5.06, abs=0.005)
    assert days.total.max() == pytest.approx(5.01, abs=0.005)
    assert days.lost.sum() == 0.0


@pytest.mark.parametrize(
    ("tariff", "j", "peak"), [(FLAT, -3.385, 3.99), (TIME_OF_USE, -4.582, 6.04)]
)
def test_tariffs_of_the_specification(tariff: Floats, j: float, peak: float) -> None:
    # The specification's J ends in -3.385 and -4.582, this is -3.3861 and -4.5836; see below.
    found = played(FIRST_DAY, tariff[None], 0.02)
    assert found["J"] == pytest.approx(j, abs=0.002)
    assert found["peak"] == pytest.approx(peak, abs=0.005)


@pytest.mark.parametrize("tariff", [FLAT, TIME_OF_USE])
@pytest.mark.parametrize("infeasible", ["refused", "cut"])
def test_a_stationary_day_is_the_third_of_a_literal_simulation(
    tariff: Floats, infeasible: str
) -> None:
    problem = replace(FIRST_DAY, infeasible=infeasible)  # type: ignore[arg-type]
    net = FIRST_LOAD - 4.0 * FIRST_SOLAR
    house = House(net, 0.02, days=20, refuse=infeasible == "refused")
    j, energy = house.last_day(tariff, 3)
    found = played(problem, tariff[None], 0.02)
    assert found["J"] == pytest.approx(j, rel=1e-5)
    assert found["peak"] == pytest.approx(energy.max(), rel=1e-5)


def test_the_designed_tariff_is_at_least_as_good_as_the_specification_says() -> None:
    planner = ExactPlanner(FIRST_DAY, np.array([0.02]))

    def loss(theta: Floats) -> tuple[float, Floats]:
        policy = planner.best(theta[None]).policy
        truth = exact_hypergradient(FIRST_DAY, theta[None], policy, planner.temperature)
        return -truth.leader_return[0], -truth.total[0]

    found = minimize(
        loss, FLAT, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * 24, options={"maxiter": 150}
    )
    assert -found.fun >= -2.753
    assert -found.fun == pytest.approx(-2.541, abs=0.002)
    assert played(FIRST_DAY, found.x[None], 0.02)["peak"] <= 2.92


def test_the_gradient_at_the_flat_tariff_is_all_indirect() -> None:
    planner = ExactPlanner(MEAN_DAY, np.array([0.05]))
    truth = exact_hypergradient(
        MEAN_DAY, FLAT[None], planner.best(FLAT[None]).policy, planner.temperature
    )
    assert not truth.direct.any()
    of_all_days = 1.0 - MEAN_DAY.leader_discount**24
    assert np.linalg.norm(truth.indirect) / of_all_days == pytest.approx(6.28, abs=0.005)


def test_a_discounted_mean_day_is_that_of_a_literal_simulation() -> None:
    theta = np.random.default_rng(1).uniform(0.1, 0.5, 24)
    net = MEAN_DAY.demand.mean
    house = House(net[0], 0.05, days=60)
    j, bought = house.outcome(theta)
    per_day = 1.0 - 0.99**24
    problem = replace(MEAN_DAY, tariff_weight=0.0)
    policy = ExactPlanner(problem, np.array([0.05])).best(theta[None]).policy
    days = mean_day(problem, policy)
    assert leader_return(problem, theta[None], days) == pytest.approx(per_day * j, rel=1e-5)
    np.testing.assert_allclose(
        -problem.day_weights * days.bought[0, 0], per_day * bought, rtol=1e-5
    )


@pytest.mark.parametrize(
    "problem",
    [
        MEAN_DAY,
        HomeBattery.of_houses(1, noise=0.3, leader_discount=1.0, tariff_weight=2.0),
        HomeBattery.of_houses(1, leader_discount=0.97, follower_discount=0.9, infeasible="cut"),
        HomeBattery.of_houses(3, noise=0.2, num_charges=17, num_actions=21),
    ],
    ids=["house", "stationary", "cut", "houses"],
)
def test_finite_differences(problem: HomeBattery) -> None:
    temperature = np.array([0.05, 0.1])
    theta = np.random.default_rng(0).uniform(0.05, 0.6, (2, 24))
    policy = ExactPlanner(problem, temperature, tolerance=1e-13).best(theta).policy
    truth = exact_hypergradient(problem, theta, policy, temperature)
    assert truth.leader_return == pytest.approx(returns(problem, theta, temperature), rel=1e-12)
    step = 1e-5
    for h in range(24):
        move = step * (np.arange(24) == h)
        above, below = (returns(problem, theta + sign * move, temperature) for sign in (1, -1))
        slope = (above - below) / (2.0 * step)
        largest = np.abs(truth.total).max(axis=1)
        assert (np.abs(slope - truth.total[:, h]) < 1e-6 * largest).all()


def test_houses_meet_in_the_square_of_what_they_take_together() -> None:
    # Two hours' worth of joint probabilities, written out for independent houses.
    problem = HomeBattery.of_houses(2, noise=0.2, num_charges=5, num_actions=7)
    theta = np.random.default_rng(2).uniform(0.1, 0.5, (1, 24))
    policy = ExactPlanner(problem, np.array([0.1])).best(theta).policy
    days = mean_day(problem, policy)
    net, probability = problem.demand.net, problem.demand.probability
    for h in (3, 12):
        outcomes = []
        for i in range(2):
            at = days.occupancy[0, i, h][:, None] * policy[0, i, h]
            e = net[i, h][:, None] + problem.grid.energy.reshape(-1)
            outcomes.append((e.reshape(-1), np.outer(probability, at.reshape(-1)).reshape(-1)))
        together = np.square(outcomes[0][0][:, None] + outcomes[1][0])
        expected = outcomes[0][1] @ together @ outcomes[1][1]
        assert days.total_square[0, h] == pytest.approx(expected, rel=1e-12)


def test_energy_is_kept() -> None:
    problem = HomeBattery.of_houses(4, leader_discount=1.0, noise=0.2)
    theta = np.random.default_rng(3).uniform(0.1, 0.5, (1, 24))
    days = mean_day(problem, ExactPlanner(problem, np.array([0.05])).best(theta).policy)
    used = problem.demand.mean.sum(axis=1)
    taken = days.energy[0].sum(axis=1)
    np.testing.assert_allclose(taken, used + days.lost[0].sum(axis=1), rtol=1e-9)
    assert (days.lost[0].sum(axis=1) > 0.05).all()
    assert ((days.charge >= 0.0) & (days.charge <= problem.capacity)).all()


def test_runs_do_not_depend_on_their_batch() -> None:
    problem = HomeBattery.of_houses(2, noise=0.2)
    theta = np.random.default_rng(4).uniform(0.1, 0.5, (3, 24))
    temperature = np.array([0.05, 0.02, 0.1])

    def gradient(rows: slice) -> Floats:
        planner = ExactPlanner(problem, temperature[rows])
        answer = planner.best(theta[rows])
        return exact_hypergradient(problem, theta[rows], answer.policy, planner.temperature).total

    np.testing.assert_array_equal(gradient(slice(1, 2)), gradient(slice(None))[1:2])


def test_says_if_days_do_not_become_stationary(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ExactPlanner(MEAN_DAY, np.array([0.05])).best(FLAT[None]).policy
    monkeypatch.setattr(exact, "MAX_DAYS", 1)
    with pytest.raises(NotConverged, match="occupancy: still changes by"):
        mean_day(MEAN_DAY, policy)
