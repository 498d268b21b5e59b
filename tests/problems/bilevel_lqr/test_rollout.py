"""Batches of BilevelLQR have the moments of the closed loop."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.closed_loop import closed_loop
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.games import generic_lqr

Floats = NDArray[np.float64]
NOISE = 0.3
HORIZON = 6
#: Of a test's smallest p value; seeds are fixed.
LEVEL = 1e-4


@dataclass(frozen=True, eq=False)
class Case:
    problem: BilevelLQR
    theta: Floats
    response: LinearGaussianResponse

    def sample(self, episodes: int, seeds: list[int], *, at_random: bool = False) -> Observations:
        rollout = LinearRollout(self.problem, episodes)
        assert rollout.env_steps == episodes * HORIZON
        return rollout.observe(self.theta, self.response, Streams(seeds), at_random=at_random)


@pytest.fixture(scope="module")
def case() -> Case:
    problem = generic_lqr(max_episode_steps=HORIZON, leader_reward_scale=1.0, leader_noise=NOISE)
    theta = 0.5 * np.random.default_rng(0).standard_normal((2, 3))
    temperature = np.array([0.1, 2.0])
    follower = MaxEntropyLQR(problem, temperature)
    return Case(problem, theta, follower.respond(theta))


def by_time(array: NDArray[np.float64], run: int) -> Floats:
    """Shape (episodes, horizon, n)."""
    episodes: Floats = array[run].reshape(-1, HORIZON, array.shape[2])
    return episodes


def assert_moments(sample: Floats, mean: Floats, covariance: Floats) -> None:
    """Rows of `sample` (N, n) are N(mean, covariance), as far as two moments can tell."""
    number, size = sample.shape
    white = np.linalg.solve(np.linalg.cholesky(covariance), (sample - mean).T)
    p_values = [stats.chi2.sf(number * np.square(white.mean(axis=1)).sum(), size)]
    second = white @ white.T / number - np.eye(size)
    z = second * np.sqrt(number / (1.0 + np.eye(size)))  # variance 2 on the diagonal, 1 off it
    p_values += list(2.0 * stats.norm.sf(np.abs(z[np.triu_indices(size)])))
    assert min(p_values) > LEVEL, p_values
    assert np.sqrt(2.0 / number) < 0.02  # power: 8 % in a variance would be found


def test_states_have_the_closed_loop_s_mean_and_covariance(case: Case) -> None:
    batch = case.sample(10_000, [0, 1])
    loop = closed_loop(case.problem, case.theta, case.response)
    for run in range(2):
        mean, covariance = case.problem.initial_state, np.zeros((3, 3))
        for t in range(HORIZON):
            mean = loop.matrix[run] @ mean
            covariance = loop.matrix[run] @ covariance @ loop.matrix[run].T + loop.covariance[run]
            assert_moments(by_time(batch.next_state, run)[:, t], mean, covariance)


def test_actions_are_what_the_two_policies_say(case: Case) -> None:
    batch = case.sample(2000, [0, 1])
    gain = case.problem.gain(case.theta)
    for run in range(2):
        state, action = batch.state[run], batch.leader_action[run]
        innovation = action - state @ gain[run].T
        assert_moments(innovation, np.zeros(1), NOISE**2 * np.eye(1))
        pushed = innovation @ case.problem.leader_matrix.T
        response = case.response
        mean = -(state @ response.state_gain[run].T + pushed @ response.noise_gain[run].T)
        shock = batch.follower_action[run] - mean
        assert_moments(shock, np.zeros(2), response.covariance[run])
        # Both noises are independent of what is seen, and of each other.
        white = np.linalg.solve(np.linalg.cholesky(response.covariance[run]), shock.T).T
        seen = np.column_stack([innovation, white, state])
        seen = seen[np.arange(len(seen)) % HORIZON > 0]  # all episodes start in one state
        for noise in range(3):
            others = [column for column in range(6) if column > noise]
            for other in others:
                result = stats.pearsonr(seen[:, noise], seen[:, other])
                assert result.pvalue > LEVEL


def test_a_random_leader_ignores_the_state_and_the_follower_answers_all_the_same(
    case: Case,
) -> None:
    batch = case.sample(2000, [0, 1], at_random=True)
    for run in range(2):
        action = batch.leader_action[run]
        assert_moments(action, np.zeros(1), np.eye(1))
        mean = case.response.mean_action(
            case.problem, case.theta, batch.state, batch.leader_action
        )[run]
        assert_moments(
            batch.follower_action[run] - mean, np.zeros(2), case.response.covariance[run]
        )


@pytest.mark.parametrize("at_random", [False, True])
def test_episodes_lie_one_after_the_other(case: Case, at_random: bool) -> None:
    batch, problem = case.sample(5, [3, 4], at_random=at_random), case.problem
    assert batch.leader_reward.shape == (2, 5 * HORIZON)
    sizes = [array.shape[2] for array in (batch.state, batch.leader_action, batch.follower_action)]
    assert sizes == [3, 1, 2]
    for run in range(2):
        states, after = by_time(batch.state, run), by_time(batch.next_state, run)
        np.testing.assert_array_equal(states[:, 0], np.tile(problem.initial_state, (5, 1)))
        np.testing.assert_array_equal(states[:, 1:], after[:, :-1])
        for n in range(5 * HORIZON):
            x, a, u = (
                array[run, n] for array in (batch.state, batch.leader_action, batch.follower_action)
            )
            expected = problem.state_matrix @ x + problem.follower_matrix @ u
            expected += problem.leader_matrix @ a
            np.testing.assert_allclose(batch.next_state[run, n], expected, rtol=1e-12, atol=1e-14)
            # The reward of the state before the transition.
            distance = ((x - problem.target) / problem.target_scale) ** 2
            assert batch.leader_reward[run, n] == pytest.approx(
                np.exp(-0.5 * distance.sum()), rel=1e-12
            )


def test_runs_do_not_depend_on_each_other(case: Case) -> None:
    together = case.sample(7, [3, 4])
    names = ("state", "leader_action", "follower_action", "next_state", "leader_reward")
    response = replace(
        case.response,
        **{
            name: getattr(case.response, name)[1:]
            for name in (
                "state_gain", "noise_gain", "covariance", "quadratic", "cross", "noise", "offset",
                "accuracy", "iterations",
            )
        },
    )  # fmt: skip
    rollout = LinearRollout(case.problem, 7)
    alone = rollout.observe(case.theta[1:], response, Streams([4]), at_random=False)
    for name in names:
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[1])
    assert (together.state[0] != together.state[1]).any()
