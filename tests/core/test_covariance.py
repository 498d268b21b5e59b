"""The indirect term of BC-HG against its definition as a double sum, and against its other form."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.covariance import covariance_term, expected_covariance_term
from bilevelrl.models.tabular.boltzmann_covariance import covariance_term as tabular_term

Floats = NDArray[np.float64]
RUNS, EPISODES, HORIZON, SIZE, GAMMA = 2, 3, 5, 4, 0.9
BETA = np.array([0.1, 0.5])


def random(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def double_sum(injection: Floats, psi: Floats, include_current: bool) -> Floats:
    total = np.zeros((RUNS, SIZE))
    for r in range(RUNS):
        for first in range(0, EPISODES * HORIZON, HORIZON):
            for t in range(HORIZON):
                for k in range(t if include_current else t + 1, HORIZON):
                    discounted = GAMMA ** (k - t) * psi[r, first + k]
                    total[r] += injection[r, first + t] * discounted / BETA[r]
    return total


@pytest.mark.parametrize("include_current", [True, False])
def test_one_pull_back_of_the_trace_is_the_double_sum(include_current: bool) -> None:
    injection, psi = random(RUNS, EPISODES * HORIZON), random(RUNS, EPISODES * HORIZON, SIZE)
    asked = []

    def pull_back(weights: Floats) -> Floats:
        asked.append(weights.shape)
        return np.einsum("rn,rnd->rd", weights, psi)

    arguments = (injection, pull_back, BETA, HORIZON, GAMMA)
    found = covariance_term(*arguments, include_current=include_current)
    expected = double_sum(injection, psi, include_current)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert asked == [injection.shape]  # once, with scalars
    baseline = random(RUNS, SIZE, seed=1)
    less = covariance_term(*arguments, include_current=include_current, baseline=baseline)
    np.testing.assert_allclose(less, expected - baseline / BETA[:, None], rtol=1e-12)


def test_an_expectation_takes_the_place_of_what_follows() -> None:
    injection, expected = random(RUNS, 7), random(RUNS, 7, SIZE)
    found = expected_covariance_term(injection, expected, BETA)
    literal = np.einsum("rn,rnd->rd", injection, expected) / BETA[:, None]
    np.testing.assert_allclose(found, literal, rtol=1e-12)


def test_the_tabular_form_is_the_same_sum() -> None:
    # Whole episodes of a problem in which ψ is ∇_θ r_F(s, a): one weight per pair is enough.
    states, actions = 3, 2
    generator, shape = np.random.default_rng(2), (RUNS, EPISODES, HORIZON)
    state = generator.integers(states, size=shape).astype(np.int16)
    action = generator.integers(actions, size=shape).astype(np.int8)
    time = np.broadcast_to(np.arange(HORIZON, dtype=np.int16), shape).copy()
    ended = time == HORIZON - 1
    batch = Batch(state, action, np.roll(state, -1, 2), time, np.zeros_like(ended), ended)
    slopes, advantage = random(states, actions, SIZE), random(RUNS, states, actions, seed=3)

    class Influence:
        def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
            return np.einsum("rsa,sad->rd", weights, slopes)

        pull_back_leader_reward = pull_back_follower_reward

    theta = np.zeros((RUNS, SIZE))
    found = tabular_term(Influence(), theta, batch, advantage, BETA, GAMMA)
    flat_state, flat_action = state.reshape(RUNS, -1), action.reshape(RUNS, -1)
    weight = np.tile(GAMMA ** np.arange(HORIZON), EPISODES) / EPISODES
    injection = weight * advantage[np.arange(RUNS)[:, None], flat_state, flat_action]

    def pull_back(weights: Floats) -> Floats:
        return np.einsum("rn,rnd->rd", weights, slopes[flat_state, flat_action])

    other = covariance_term(injection, pull_back, BETA, HORIZON, GAMMA, include_current=True)
    np.testing.assert_allclose(found, other, rtol=1e-12)
    assert np.abs(found).max() > 0.1
