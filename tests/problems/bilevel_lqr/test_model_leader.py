"""BilevelLQR's leader with a critic that converges, against expectations by quadrature."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.model_leader import Form, ModelLeader
from bilevelrl.problems.bilevel_lqr.problem import matrix_vector
from tests.buildings import normal_nodes
from tests.small_lqr import CRITIC, PROBLEM, RESPONSE, THETA, batch_of

Floats = NDArray[np.float64]
BATCH = batch_of([0, 1])
GAIN = PROBLEM.gain(THETA)[:, None]
MEAN = matrix_vector(GAIN, BATCH.state)
#: ξ and weights of the leader's noise, exact for polynomials of degree 5.
NODES, WEIGHTS = normal_nodes(1)
SPREAD = PROBLEM.leader_noise


def taught(form: Form) -> tuple[ModelLeader, Any]:
    leader, streams = ModelLeader(PROBLEM, CRITIC, form), Streams([0, 1])
    memory = leader.start(streams)
    leader.learn(THETA, RESPONSE, BATCH, BATCH, memory, streams)
    return leader, memory


def value(state: Floats, action: Floats) -> Floats:
    """V_F(x, a), shape (R, N)."""
    return RESPONSE.value(PROBLEM, THETA, state, action)


def over_noise(function: Any) -> Floats:
    """E[function(K x + W ξ)] over the leader's noise."""
    terms = [w * function(MEAN + SPREAD * z) for z, w in zip(NODES[:, 0], WEIGHTS, strict=True)]
    return np.sum(terms, axis=0)


def slope_of_value(state: Floats, action: Floats) -> Floats:
    """∂V_F/∂a, shape (R, N, 1): V_F is quadratic, so a difference of any width is exact."""
    rise: Floats = value(state, action + 0.5) - value(state, action - 0.5)
    return rise[:, :, None]


def test_the_score_multiplies_what_exceeds_the_mean_over_the_leader_s_actions() -> None:
    leader, memory = taught("score")
    advantage = value(BATCH.state, BATCH.leader_action) - over_noise(
        lambda a: value(BATCH.state, a)
    )
    score = (BATCH.leader_action - MEAN) / SPREAD**2 * BATCH.state
    found = leader.sensitivity(THETA, RESPONSE, BATCH, memory)
    np.testing.assert_allclose(found, advantage[:, :, None] * score, rtol=1e-7, atol=1e-9)
    weights = np.random.default_rng(0).standard_normal(BATCH.leader_reward.shape)
    arguments = (THETA, BATCH.state, BATCH.leader_action, weights)
    pulled = (weights[:, :, None] * score).sum(axis=1)
    np.testing.assert_allclose(leader.pull_back(*arguments), pulled, rtol=1e-9)


def test_the_pathwise_form_multiplies_the_slope_by_the_state() -> None:
    leader, memory = taught("pathwise")
    expected = slope_of_value(BATCH.state, BATCH.leader_action) * BATCH.state
    found = leader.sensitivity(THETA, RESPONSE, BATCH, memory)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    weights = np.random.default_rng(0).standard_normal(BATCH.leader_reward.shape)
    pulled = leader.pull_back(THETA, BATCH.state, BATCH.leader_action, weights)
    np.testing.assert_allclose(pulled, (weights[:, :, None] * BATCH.state).sum(axis=1), rtol=1e-9)


def test_both_forms_have_the_same_mean() -> None:
    # Stein: E[f(a) (a - K x) / W²] = E[f'(a)].
    by_score = over_noise(
        lambda a: (value(BATCH.state, a)[:, :, None] * (a - MEAN) / SPREAD**2)[:, :, 0]
    )
    by_slope = over_noise(lambda a: slope_of_value(BATCH.state, a)[:, :, 0])
    np.testing.assert_allclose(by_score, by_slope, rtol=1e-8, atol=1e-9)


def test_the_direct_term_takes_the_factor_of_its_form() -> None:
    for form, name in (("score", "leader_advantage"), ("pathwise", "action_slope")):
        leader, memory = taught(form)  # type: ignore[arg-type]
        slopes = CRITIC.evaluate(THETA, RESPONSE, BATCH, memory)
        time = np.zeros(BATCH.leader_reward.shape, dtype=np.int64)
        arguments = (THETA, RESPONSE, BATCH, time, memory, Streams([0, 1]))
        expected = slopes[name].reshape(BATCH.leader_reward.shape)
        np.testing.assert_array_equal(leader.leader_advantage(*arguments), expected)
        np.testing.assert_array_equal(
            leader.follower_side_advantage(*arguments), slopes["follower_advantage"]
        )


def forms_to_come() -> Floats:
    """H of Σ_k γ_F^k E[ψ_k] = xᵀ H x + constant, one for each parameter, shape (R, D, n, n)."""
    size = THETA.shape[1]
    loop = (
        PROBLEM.state_matrix
        + PROBLEM.leader_matrix @ PROBLEM.gain(THETA)
        - PROBLEM.follower_matrix @ RESPONSE.state_gain
    )
    # E[ψ | x] = E[∂V_F/∂a] x is quadratic in x: its matrix from values at e_i and e_i + e_j.
    units = np.broadcast_to(np.eye(size), (2, size, size))

    def expected(state: Floats) -> Floats:
        mean = matrix_vector(GAIN, state)
        terms = [
            w * slope_of_value(state, mean + SPREAD * z)
            for z, w in zip(NODES[:, 0], WEIGHTS, strict=True)
        ]
        product: Floats = np.sum(terms, axis=0) * state
        return product  # (R, N, D)

    single = expected(units)
    form = np.zeros((2, size, size, size))
    for i in range(size):
        for j in range(size):
            both = expected((units[:, i] + units[:, j])[:, None])[:, 0]
            form[:, :, i, j] = 0.5 * (both - single[:, i] - single[:, j])
    total, power = np.zeros_like(form), np.broadcast_to(np.eye(size), loop.shape)
    for k in range(600):
        carried = power[:, None]
        total += PROBLEM.follower_discount**k * carried.mT @ form @ carried
        power = loop @ power
    return total


def test_the_expected_sensitivity_is_what_follows_less_its_mean_over_the_follower() -> None:
    leader, memory = taught("pathwise")
    forms = forms_to_come()

    def worth(state: Floats) -> Floats:
        return np.einsum("rdij,rni,rnj->rnd", forms, state, state)

    nodes, weights = normal_nodes(2)
    mean = RESPONSE.mean_action(PROBLEM, THETA, BATCH.state, BATCH.leader_action)
    spread = np.linalg.cholesky(RESPONSE.covariance)
    average = np.zeros((*BATCH.leader_reward.shape, THETA.shape[1]))
    for node, weight in zip(nodes, weights, strict=True):
        answer = mean + (spread @ node)[:, None]
        after = PROBLEM.transition(BATCH.state, BATCH.leader_action, answer)
        average += weight * worth(after)
    expected = PROBLEM.follower_discount * (worth(BATCH.next_state) - average)
    found = leader.expected_sensitivity(THETA, RESPONSE, BATCH, memory)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("form", ["score", "pathwise"])
def test_features_are_all_quadratics_of_the_state(form: Form) -> None:
    leader, _ = taught(form)
    features = leader.features(BATCH)
    x = BATCH.state
    expected = [np.ones(x.shape[:2])]
    expected += [x[:, :, i] * x[:, :, j] for i in range(3) for j in range(i, 3)]
    np.testing.assert_array_equal(features, np.stack(expected, axis=2))
    np.testing.assert_array_equal(leader.from_coordinates(THETA, THETA), THETA)


def test_only_the_newest_batch_is_asked_about_but_all_are_learned_from() -> None:
    leader, memory = taught("pathwise")
    before = {name: memory[name].copy() for name in ("model_gram", "action_slope")}
    other: Observations = batch_of([7, 8])
    leader.learn(THETA, RESPONSE, other, other, memory, Streams([0, 1]))
    rows = np.concatenate([other.state, other.follower_action, other.leader_action], axis=2)
    np.testing.assert_allclose(memory["model_gram"], before["model_gram"] + rows.mT @ rows)
    assert (memory["action_slope"] != before["action_slope"]).any()
