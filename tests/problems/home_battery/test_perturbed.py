"""The perturbed follower against the exact hypergradient, and the specification's errors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import exact_hypergradient
from bilevelrl.problems.home_battery.perturbed import (
    ExactMeter,
    PerturbedHousehold,
    SampledMeter,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.rollout import DayRollout

Floats = NDArray[np.float64]
HOUSE = HomeBattery.of_houses(1)
FLAT = np.full((1, 24), 0.30)


def perturbed(
    problem: HomeBattery, theta: Floats, epsilon: float, two_sided: bool
) -> tuple[Floats, Floats]:
    """The estimate with exact answers and means, and the truth, both (R, 24)."""
    temperature = np.full(len(theta), 0.05)
    planner = ExactPlanner(problem, temperature)
    shares = np.full(len(theta), epsilon)
    estimator = PerturbedHousehold(ExactMeter(problem), planner, shares, two_sided)
    answer, streams = planner.best(theta), Streams(range(len(theta)))
    found = estimator.estimate(theta, answer, estimator.start(streams), streams)
    return found.gradient, exact_hypergradient(problem, theta, answer.policy, temperature).total


@pytest.mark.parametrize(
    ("two_sided", "epsilon", "error", "cosine", "digits"),
    [
        (True, 0.1, 0.11, 0.999, 0.005),
        (True, 0.03, 0.009, 1.0, 0.0005),
        (True, 0.01, 0.001, 1.0, 0.0005),
        (False, 0.1, 0.21, 0.998, 0.005),
        (False, 0.03, 0.078, 0.9997, 0.0005),
        (False, 0.01, 0.028, 1.0, 0.0005),
    ],
)
def test_errors_of_the_specification(
    two_sided: bool, epsilon: float, error: float, cosine: float, digits: float
) -> None:
    (found,), (truth,) = perturbed(HOUSE, FLAT, two_sided=two_sided, epsilon=epsilon)
    norm = np.linalg.norm(truth)
    assert np.linalg.norm(found - truth) / norm == pytest.approx(error, abs=digits)
    assert found @ truth / norm / np.linalg.norm(found) == pytest.approx(cosine, abs=5e-4)


@pytest.mark.parametrize("houses", [1, 3])
@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
def test_error_vanishes_at_its_order(houses: int, two_sided: bool, order: int) -> None:
    problem = HomeBattery.of_houses(houses, noise=0.2)
    theta = np.random.default_rng(0).uniform(0.2, 0.4, (2, 24))
    errors = []
    for epsilon in (4e-3 / houses, 2e-3 / houses):
        found, truth = perturbed(problem, theta, two_sided=two_sided, epsilon=epsilon)
        errors.append(np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1))
    np.testing.assert_allclose(errors[0] / errors[1], 2.0**order, rtol=0.1)
    assert (errors[1] < 0.02).all()


@pytest.mark.parametrize("two_sided", [True, False])
def test_sampled_means_are_those_of_exact_ones(two_sided: bool) -> None:
    problem = HomeBattery.of_houses(2, noise=0.2)
    runs, epsilon = 40, 0.05
    theta = np.tile(np.random.default_rng(1).uniform(0.2, 0.4, 24), (runs, 1))
    planner = ExactPlanner(problem, np.full(runs, 0.05))
    rollout = DayRollout(problem, 500, closing_days=0)
    answer = planner.best(theta)
    exact, _ = perturbed(problem, theta[:1], two_sided=two_sided, epsilon=epsilon)
    spread = []
    for common in (True, False):
        estimator = PerturbedHousehold(
            SampledMeter(rollout, common), planner, np.full(runs, epsilon), two_sided
        )
        streams = Streams(range(runs))
        found = estimator.estimate(theta, answer, estimator.start(streams), streams)
        errors = found.gradient - exact
        score = np.abs(errors.mean(axis=0)) / errors.std(axis=0) * np.sqrt(runs)
        assert score.max() < 4.0
        spread.append(errors.var(axis=0).sum())
        assert found.env_steps == 2 * rollout.env_steps
        assert np.isnan(found.leader_return_sampled).all() == two_sided
    assert spread[0] < 0.5 * spread[1]  # common random numbers


def test_refusals() -> None:
    planner = ExactPlanner(HOUSE, np.array([0.05]))
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        perturbed(HOUSE, FLAT, epsilon=0.0, two_sided=True)
    other = HomeBattery.of_houses(1, leader_discount=1.0)
    with pytest.raises(ValueError, match="must be equal: a perturbed follower counts"):
        PerturbedHousehold(ExactMeter(other), planner, np.array([0.1]))
