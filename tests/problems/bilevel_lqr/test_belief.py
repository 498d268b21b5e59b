"""What a watching leader believes about the follower of BilevelLQR."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.belief import LinearBelief, blinded
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import matrix_vector
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.buildings import normal_nodes
from tests.games import generic_lqr

Floats = NDArray[np.float64]
RUNS = 10
PROBLEM = generic_lqr()
BETA = np.full(RUNS, 0.1)
THETA = np.repeat(
    0.2 * np.random.default_rng(1).standard_normal((1, PROBLEM.num_parameters)), RUNS, axis=0
)
RESPONSE = MaxEntropyLQR(PROBLEM, BETA).respond(THETA)


def watched(episodes: int) -> tuple[LinearGaussianResponse, Observations]:
    sampler = LinearRollout(PROBLEM, episodes, "rewards")
    seen = sampler.observe(THETA, RESPONSE, Streams(range(RUNS)), at_random=False)
    return LinearBelief(blinded(PROBLEM), BETA).learn(THETA, seen, {}), seen


def errors(episodes: int) -> tuple[float, float]:
    """Root mean square error of the mean action, and of V_F(x, a), where the leader innovation."""
    found, seen = watched(episodes)
    at, blind = seen.take(np.tile(np.arange(20), (RUNS, 1))), blinded(PROBLEM)
    push = at.leader_action + 0.3 * np.random.default_rng(2).standard_normal(at.leader_action.shape)
    gaps = [
        getattr(found, name)(blind, THETA, at.state, push)
        - getattr(RESPONSE, name)(PROBLEM, THETA, at.state, push)
        for name in ("mean_action", "value")
    ]
    first, second = (float(np.sqrt(np.square(gap).mean())) for gap in gaps)
    return first, second


def test_errors_fall_with_the_root_of_the_samples() -> None:
    sizes = [4, 16, 64]
    by_size = np.array([errors(size) for size in sizes])
    for column in range(2):
        assert np.polyfit(np.log(sizes), np.log(by_size[:, column]), 1)[0] < -0.4
    assert (by_size[-1] < 0.05).all()


def planned(episodes: int) -> tuple[LinearGaussianResponse, Observations]:
    """As `watched`, of a leader that trusts its follower to be optimal."""
    _, seen = watched(episodes)
    belief = LinearBelief(blinded(PROBLEM), BETA, "planned")
    return belief.learn(THETA, seen, {}), seen


def test_one_batch_is_enough_for_a_leader_that_plans() -> None:
    # What it identifies has no error, and what it solves for is what the follower plays.
    found, _ = planned(1)
    rng, blind = np.random.default_rng(7), blinded(PROBLEM)
    for _ in range(3):
        state = rng.standard_normal((RUNS, 20, PROBLEM.state_matrix.shape[0]))
        push = rng.standard_normal((RUNS, 20, PROBLEM.leader_matrix.shape[1]))
        for name in ("mean_action", "value"):
            np.testing.assert_allclose(
                getattr(found, name)(blind, THETA, state, push),
                getattr(RESPONSE, name)(PROBLEM, THETA, state, push),
                rtol=1e-6,
                atol=1e-6,
                err_msg=name,
            )
    np.testing.assert_allclose(found.covariance, RESPONSE.covariance, rtol=1e-6)


def test_planning_beats_evaluating_the_same_batch() -> None:
    (evaluated, seen), (trusting, _) = watched(1), planned(1)
    at, blind = seen.take(np.tile(np.arange(20), (RUNS, 1))), blinded(PROBLEM)
    truth = RESPONSE.value(PROBLEM, THETA, at.state, at.leader_action)
    error = [
        np.abs(found.value(blind, THETA, at.state, at.leader_action) - truth).max()
        for found in (evaluated, trusting)
    ]
    assert error[1] < 1e-3 * error[0]


def test_bits_of_a_plan_do_not_depend_on_the_other_runs() -> None:
    found, seen = planned(3)
    alone = LinearBelief(blinded(PROBLEM), BETA[4:5], "planned").learn(
        THETA[4:5],
        Observations(*(array[4:5] for array in vars(seen).values())),
        {},
    )
    for name in ("state_gain", "noise_gain", "covariance", "quadratic", "cross", "noise", "offset"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(found, name)[4])


def test_bits_do_not_depend_on_the_other_runs() -> None:
    found, seen = watched(3)
    alone = LinearBelief(blinded(PROBLEM), BETA[4:5]).learn(
        THETA[4:5],
        Observations(*(array[4:5] for array in vars(seen).values())),
        {},
    )
    for name in ("state_gain", "noise_gain", "covariance", "quadratic", "cross", "noise", "offset"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(found, name)[4])


def test_the_value_is_that_of_the_policy_that_is_believed_in() -> None:
    # V(x, a) = E_u[r_F(x, u) + γ_F E_a' V(x', a')] + β H, whatever the costs, by quadrature.
    rng, runs = np.random.default_rng(5), 2
    noise = 0.3
    # The loop must be stable.
    problem = generic_lqr(state_matrix=0.5 * PROBLEM.state_matrix, leader_noise=noise)
    theta, beta = THETA[:runs], np.array([0.1, 0.4])
    state, push = rng.standard_normal((runs, 400, 3)), rng.standard_normal((runs, 400, 1))
    mean = matrix_vector(problem.gain(theta)[:, None], state)
    leader = mean + noise * push
    reaction, own = rng.standard_normal((2, 2, 3)), rng.standard_normal((2, 3))
    ahead = state @ problem.state_matrix.T + leader @ problem.leader_matrix.T
    answer = -0.1 * ahead @ reaction[0].T + 0.3 * rng.standard_normal((runs, 400, 2))

    def reward(x: Floats, u: Floats) -> Floats:
        """With a cross term, and an effort that is not alike in all directions."""
        paid = np.square(x).sum(axis=-1) + 2.0 * np.square(u @ own).sum(axis=-1)
        paid += 0.5 * np.square(u).sum(axis=-1) + 2.0 * ((x @ own.T) * u).sum(axis=-1)
        return -paid

    after = problem.transition(state, leader, answer)
    nothing = np.zeros(state.shape[:2])
    seen = Observations(state, leader, answer, after, nothing, reward(state, answer))
    blind = blinded(problem)
    found = LinearBelief(blind, beta).learn(theta, seen, {})

    asked = leader[:, :20] + rng.standard_normal((runs, 20, 1))
    x, own_mean = state[:, :20], found.mean_action(blind, theta, state[:, :20], asked)
    spread = np.linalg.cholesky(found.covariance)
    expected = np.zeros(x.shape[:2])
    for node, weight in zip(*normal_nodes(2), strict=True):
        u = own_mean + (spread @ node)[:, None]
        reached = problem.transition(x, asked, u)
        planned = matrix_vector(problem.gain(theta)[:, None], reached)
        later = np.zeros(x.shape[:2])
        for (z,), share in zip(*normal_nodes(1), strict=True):
            later += share * found.value(blind, theta, reached, planned + noise * z)
        expected += weight * (reward(x, u) + problem.follower_discount * later)
    entropy = 0.5 * np.linalg.slogdet(2.0 * np.pi * np.e * found.covariance)[1]
    expected += (beta * entropy)[:, None]
    assert np.isfinite(expected).all()
    value = found.value(blind, theta, x, asked)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_rewards_that_are_not_seen_are_asked_for() -> None:
    sampler = LinearRollout(PROBLEM, 1, "actions")
    seen = sampler.observe(THETA, RESPONSE, Streams(range(RUNS)), at_random=False)
    with pytest.raises(ValueError, match="rewards"):
        LinearBelief(blinded(PROBLEM), BETA).learn(THETA, seen, {})
