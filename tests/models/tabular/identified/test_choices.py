"""What the follower wants, from the choices that it made."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.identified.choices import (
    Choices,
    correct,
    log_likelihood,
    log_ratio,
)
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

ROOMS = FourRooms()
BETA = 0.01
SHAPE = (ROOMS.num_states, 4)


def choices(number: int = 3, times: int = 30) -> Choices:
    """Of a follower that gets 1 at the goal, of which the leader knows nothing."""
    generator = np.random.default_rng(5)
    theta = 2.0 * generator.standard_normal((number, ROOMS.num_parameters))
    follower = SoftPolicyIteration(ROOMS.planner, np.full(number, BETA), 1e-10, 200)
    policy = follower.respond(ROOMS.follower_reward(theta), follower.start(number)).policy
    drawn = [[generator.multinomial(times, p / p.sum()) for p in each] for each in policy]
    known = ROOMS.influence.follower_part(theta)
    return Choices(known, np.array(drawn, dtype=np.float64), np.zeros((number, SHAPE[0])))


def total(of: Choices, correction: Floats) -> float:
    fresh = replace(of, value=np.zeros_like(of.value))
    found, _ = log_likelihood(ROOMS.planner, fresh, correction, BETA, tolerance=1e-12)
    return float(found.sum())


def test_likelihood_is_that_of_the_best_responses() -> None:
    own, truth = choices(), np.zeros(SHAPE)
    truth[ROOMS.goal] = 1.0
    follower = SoftPolicyIteration(ROOMS.planner, np.full(3, BETA), 1e-12, 200)
    policy = follower.respond(own.reward + truth, follower.start(3)).policy
    assert total(own, truth) == pytest.approx((own.times * np.log(policy)).sum(), rel=1e-9)


def test_gradient_agrees_with_finite_differences() -> None:
    own = choices()
    generator = np.random.default_rng(6)
    at = 0.05 * generator.standard_normal(SHAPE)
    at[ROOMS.goal] += 0.7
    _, slope = log_likelihood(ROOMS.planner, own, at, BETA, tolerance=1e-12)
    for _ in range(3):
        along = generator.standard_normal(SHAPE)
        step = 1e-6
        difference = (total(own, at + step * along) - total(own, at - step * along)) / (2 * step)
        assert (slope.sum(axis=0) * along).sum() == pytest.approx(difference, rel=1e-4)


def test_the_reward_at_the_goal_is_found() -> None:
    spread = np.full(SHAPE, 0.01)
    spread[ROOMS.goal] = 1.0
    found = correct(ROOMS.planner, choices(), np.zeros(SHAPE), spread, BETA, 60)
    np.testing.assert_allclose(found[ROOMS.goal], 1.0, atol=0.1)
    assert np.abs(np.delete(found, ROOMS.goal, axis=0)).max() < 0.02


def test_without_choices_nothing_is_corrected() -> None:
    own = choices()
    none = replace(own, times=np.zeros_like(own.times))
    found = correct(ROOMS.planner, none, np.zeros(SHAPE), np.full(SHAPE, 0.01), BETA, 30)
    np.testing.assert_array_equal(found, 0.0)


def test_ratio_of_likelihoods_and_its_variance() -> None:
    own, generator = choices(), np.random.default_rng(7)
    wrong, truth = 0.01 * generator.standard_normal(SHAPE), np.zeros(SHAPE)
    truth[ROOMS.goal] = wrong[ROOMS.goal] = 1.0
    ahead, variance = log_ratio(ROOMS.planner, own, wrong, truth, BETA)
    assert ahead == pytest.approx(total(own, truth) - total(own, wrong), rel=1e-6)
    assert ahead > 2.0 * np.sqrt(variance)
    back, same = log_ratio(ROOMS.planner, own, truth, wrong, BETA)
    assert (back, same) == pytest.approx((-ahead, variance))
    assert log_ratio(ROOMS.planner, own, wrong, wrong, BETA) == (0.0, 0.0)


def test_of_two_that_are_as_wrong_neither_is_surely_better() -> None:
    own, generator = choices(), np.random.default_rng(8)
    noise = 1e-3 * generator.standard_normal((2, *SHAPE))
    noise[:, ROOMS.goal] = 1.0
    ahead, variance = log_ratio(ROOMS.planner, own, noise[0], noise[1], BETA)
    assert abs(ahead) < 2.0 * np.sqrt(variance)
