"""A leader that identifies its houses."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import exact_hypergradient
from bilevelrl.problems.home_battery.identification import HouseholdIdentification
from bilevelrl.problems.home_battery.identified import IdentifiedHousehold
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.rollout import DayRollout

Floats = NDArray[np.float64]
THETA = np.random.default_rng(0).uniform(0.2, 0.4, (3, 24))
TEMPERATURE = np.array([0.05, 0.04, 0.06])


def watched(
    problem: HomeBattery, days: int, batches: int = 1
) -> tuple[IdentifiedHousehold, Memory, Estimate]:
    ignorant = HomeBattery.of_houses(problem.num_houses, efficiency=0.5, solar_power=0.0)
    estimator = IdentifiedHousehold(
        DayRollout(problem, days), HouseholdIdentification(ignorant), TEMPERATURE
    )
    streams = Streams(range(3))
    memory = estimator.start(streams)
    answer = ExactPlanner(problem, TEMPERATURE).best(THETA)
    for _ in range(batches):
        found = estimator.estimate(THETA, answer, memory, streams)
    return estimator, memory, found


def relative_errors(problem: HomeBattery, found: Floats, theta: Floats) -> Floats:
    answer = ExactPlanner(problem, TEMPERATURE).best(theta)
    truth = exact_hypergradient(problem, theta, answer.policy, TEMPERATURE).total
    error: Floats = np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)
    return error


def test_finds_battery_and_demand() -> None:
    problem = HomeBattery.of_houses(2, noise=0.2)
    estimator, memory, _ = watched(problem, 400, batches=2)
    np.testing.assert_allclose(memory["net_days"], 2 * 400 * 2)
    np.testing.assert_allclose(estimator.identification.efficiency(memory), 0.9, atol=0.01)
    for demand in estimator.identification.demand(memory):
        np.testing.assert_allclose(demand.mean, problem.demand.mean, atol=0.1)
        np.testing.assert_allclose(demand.variance, problem.demand.variance, atol=0.05)


@pytest.mark.parametrize("houses", [1, 2])
def test_its_hypergradient_comes_to_the_exact_one(houses: int) -> None:
    problem = HomeBattery.of_houses(houses, noise=0.2)
    _, _, early = watched(problem, 2)
    _, _, late = watched(problem, 1000)
    errors = [relative_errors(problem, each.gradient, THETA) for each in (early, late)]
    assert (errors[1] < 0.03).all()
    assert np.median(errors[1]) < 0.3 * np.median(errors[0])
    assert early.env_steps == houses * 2 * 48


def test_predicts_at_another_tariff() -> None:
    problem = HomeBattery.of_houses(1)
    _, _, found = watched(problem, 200)
    other = np.random.default_rng(9).uniform(0.1, 0.5, (3, 24))
    assert found.again is not None
    assert (relative_errors(problem, found.again(other), other) < 0.02).all()
    np.testing.assert_allclose(found.again(THETA), found.gradient, rtol=1e-9)


def test_an_idle_battery_is_taken_for_a_good_one() -> None:
    identification = HouseholdIdentification(HomeBattery.of_houses(1))
    memory = identification.start(2)
    np.testing.assert_array_equal(identification.efficiency(memory), 1.0)
    memory["battery_sums"][1] = [[0.8, 1.0], [0.0, 0.0]]
    np.testing.assert_array_equal(identification.efficiency(memory), 1.0)


def test_runs_do_not_depend_on_their_batch() -> None:
    problem = HomeBattery.of_houses(1, noise=0.2)
    _, _, together = watched(problem, 5)
    estimator = IdentifiedHousehold(
        DayRollout(problem, 5), HouseholdIdentification(problem), TEMPERATURE[1:2]
    )
    streams = Streams([1])
    answer = ExactPlanner(problem, TEMPERATURE[1:2]).best(THETA[1:2])
    alone = estimator.estimate(THETA[1:2], answer, estimator.start(streams), streams)
    np.testing.assert_array_equal(together.gradient[1:2], alone.gradient)
