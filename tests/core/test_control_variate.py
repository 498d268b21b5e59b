"""The trace of a leader that acts, and the baseline of the follower's side."""

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring, ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import forward_trace, sensitivity_to_come
from bilevelrl.models.finite_game.critics import ExactGameCritic
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from tests.games import random_game

Floats = NDArray[np.float64]
RUNS, EPISODES, HORIZON, GAMMA = 3, 2, 7, 0.8


@pytest.fixture(scope="module")
def injection() -> Floats:
    return np.random.default_rng(0).standard_normal((RUNS, EPISODES * HORIZON))


@pytest.fixture(scope="module")
def sensitivity() -> Floats:
    return np.random.default_rng(1).standard_normal((RUNS, EPISODES * HORIZON, 4))


@pytest.mark.parametrize("include_current", [True, False])
def test_the_trace_is_the_discounted_sum_of_earlier_injections(
    injection: Floats, include_current: bool
) -> None:
    trace = forward_trace(injection, HORIZON, GAMMA, include_current=include_current)
    for r in range(RUNS):
        for n in range(EPISODES * HORIZON):
            first = n // HORIZON * HORIZON  # every episode starts from nothing
            last = n + 1 if include_current else n
            expected = sum(GAMMA ** (n - t) * injection[r, t] for t in range(first, last))
            assert trace[r, n] == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_what_is_to_come_is_the_discounted_sum_of_later_sensitivities(
    sensitivity: Floats,
) -> None:
    to_come = sensitivity_to_come(sensitivity, HORIZON, GAMMA)
    for r in range(RUNS):
        for t in range(EPISODES * HORIZON):
            end = (t // HORIZON + 1) * HORIZON
            later = [GAMMA ** (k - t) * sensitivity[r, k] for k in range(t + 1, end)]
            np.testing.assert_allclose(to_come[r, t], np.sum(later, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("include_current", [True, False])
def test_both_orders_of_the_double_sum_agree(
    injection: Floats, sensitivity: Floats, include_current: bool
) -> None:
    # Σ_k e_k ψ_k = Σ_t i_t Σ_{k≥t or k>t} γ^{k-t} ψ_k
    trace = forward_trace(injection, HORIZON, GAMMA, include_current=include_current)
    to_come = sensitivity_to_come(sensitivity, HORIZON, GAMMA) + include_current * sensitivity
    forward = np.einsum("rn,rnp->rp", trace, sensitivity)
    backward = np.einsum("rn,rnp->rp", injection, to_come)
    np.testing.assert_allclose(forward, backward, rtol=1e-12)


def test_bits_depend_on_neither_the_batch_nor_the_threads(
    injection: Floats, sensitivity: Floats
) -> None:
    def both(part: slice) -> tuple[Floats, Floats]:
        return (
            forward_trace(injection[part], HORIZON, GAMMA, include_current=False),
            sensitivity_to_come(sensitivity[part], HORIZON, GAMMA),
        )

    together, alone = both(slice(0, 3)), both(slice(1, 2))
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    on_two = both(slice(0, 3))
    for i in range(2):
        np.testing.assert_array_equal(together[i], on_two[i])
        np.testing.assert_array_equal(together[i][1], alone[i][0])


def see_batches(control: ControlVariate, number: int) -> tuple[list[Floats], list[Floats]]:
    generator = np.random.default_rng(2)
    features = [generator.standard_normal((RUNS, 40, 3)) for _ in range(number)]
    slopes = generator.standard_normal((RUNS, 3, 2))
    noise = [generator.standard_normal((RUNS, 40, 2)) for _ in range(number)]
    return features, [f @ slopes + n for f, n in zip(features, noise, strict=True)]


def test_coefficients_are_least_squares_with_forgetting() -> None:
    control = ControlVariate(3, 2, forgetting_factor=0.7, ridge=1e-12)
    features, to_come = see_batches(control, 3)
    memory = control.start(Streams(range(RUNS)))
    for phi, y in zip(features, to_come, strict=True):
        control.see(phi, y, memory)
    control.refresh(memory)
    for r in range(RUNS):
        # Rows of older batches count for less: their square roots of weights.
        ages = np.repeat(0.7 ** (np.arange(2, -1, -1) / 2), 40)[:, None]
        rows = ages * np.concatenate([phi[r] for phi in features])
        right = ages * np.concatenate([y[r] for y in to_come])
        expected = np.linalg.lstsq(rows, right)[0]
        np.testing.assert_allclose(memory["control"][r], expected, rtol=1e-8)
    weights = np.random.default_rng(3).standard_normal((RUNS, 40))
    mean = control.mean(features[0], weights, memory)
    for r in range(RUNS):
        expected = sum(
            w * phi @ memory["control"][r]
            for w, phi in zip(weights[r], features[0][r], strict=True)
        )
        np.testing.assert_allclose(mean[r], expected, rtol=1e-10)


def test_without_data_and_without_features_the_baseline_is_zero() -> None:
    control = ControlVariate(3, 2)
    features, to_come = see_batches(control, 1)
    memory = control.start(Streams(range(RUNS)))
    control.refresh(memory)
    np.testing.assert_array_equal(memory["control"], 0.0)
    control.see(0.0 * features[0], to_come[0], memory)
    control.refresh(memory)
    np.testing.assert_array_equal(memory["control"], 0.0)


def test_a_feature_that_was_never_seen_gets_no_weight() -> None:
    control = ControlVariate(3, 2)
    features, to_come = see_batches(control, 1)
    features[0][:, :, 1] = 0.0
    memory = control.start(Streams(range(RUNS)))
    control.see(features[0], to_come[0], memory)
    control.refresh(memory)
    np.testing.assert_array_equal(memory["control"][:, 1], 0.0)
    assert (np.abs(memory["control"][:, [0, 2]]) > 0.01).all()


def test_seeing_a_batch_changes_nothing_before_the_next_refresh() -> None:
    control = ControlVariate(3, 2)
    features, to_come = see_batches(control, 2)
    memory = control.start(Streams(range(RUNS)))
    control.see(features[0], to_come[0], memory)
    control.refresh(memory)
    before = memory["control"].copy()
    control.see(features[1], to_come[1], memory)
    np.testing.assert_array_equal(memory["control"], before)
    control.refresh(memory)
    assert (memory["control"] != before).any()


@pytest.fixture
def estimates() -> tuple[list[Floats], list[Floats], list[Floats]]:
    """Indirect parts with and without the baseline, and what the theory says of their difference.

    Three updates at one θ: the baseline comes from earlier batches, so that the first has none.
    """
    game, policy, seeds = random_game(), TabularPolicy(4, 3), [3, 4]
    horizon, beta = game.max_episode_steps, np.array([0.1, 0.3])
    theta = np.random.default_rng(0).standard_normal((2, 12))
    f = policy.probabilities(theta)
    follower = SoftQIteration(game, beta, 1e-10, 100)
    response = follower.respond(f, follower.start(2))
    leader = FiniteLeader(policy, game.sizes, ExactGameCritic(game))
    sampler = FiniteSampler(policy, GameRollout(game, 5), "full")
    control = ControlVariate(12, 12)
    plain, centred, literal = [], [], []
    estimators = [
        Sampled(sampler, ScoreFunction(leader, horizon, 0.95, 0.9, beta, control=each))
        for each in (None, Centring(control, leader))
    ]
    streams = [Streams(seeds) for _ in range(3)]
    memories = [each.start(own) for each, own in zip(estimators, streams, strict=False)]
    seen = control.start(streams[2])
    for _ in range(3):
        found = [
            each.estimate(theta, response, memory, own)
            for each, memory, own in zip(estimators, memories, streams, strict=False)
        ]
        plain.append(found[0].indirect)
        centred.append(found[1].indirect)
        again = found[1].again
        assert again is not None  # the batch that has just been seen does not enter
        np.testing.assert_allclose(again(theta), found[1].gradient, rtol=1e-12, atol=1e-12)
        # Σ_t γ_L^t A_L(t) b(s_t, a_t) of the same batch with what earlier ones taught.
        batch = sampler.observe(theta, response, streams[2], at_random=False)
        control.refresh(seen)
        time = np.broadcast_to(
            np.arange(batch.leader_reward.shape[1]) % horizon, batch.leader_reward.shape
        )
        arguments = (theta, response, batch, time, memories[0], streams[2])
        weights = 0.95**time * leader.follower_side_advantage(*arguments) / 5
        table = control.mean(leader.features(batch), weights, seen)
        literal.append(policy.pull_back(theta, table.reshape(2, 4, 3)) / beta[:, None])
        to_come = sensitivity_to_come(
            leader.sensitivity(theta, response, batch, seen), horizon, 0.9
        )
        control.see(leader.features(batch), to_come, seen)
    return plain, centred, literal


def test_the_baseline_comes_from_earlier_batches_and_is_subtracted_along_a_l(
    estimates: tuple[list[Floats], list[Floats], list[Floats]],
) -> None:
    plain, centred, literal = estimates
    np.testing.assert_array_equal(literal[0], 0.0)
    np.testing.assert_array_equal(plain[0], centred[0])
    for one, other, difference in zip(plain, centred, literal, strict=True):
        np.testing.assert_allclose(one - other, difference, rtol=1e-9, atol=1e-10)
    assert np.abs(literal[1]).max() > 0.1


def test_the_features_of_a_finite_game_fall_with_the_steps_to_go() -> None:
    game = random_game()
    leader = FiniteLeader(TabularPolicy(4, 3), game.sizes, ExactGameCritic(game))
    policy = np.full((1, 4, 3), 1.0 / 3.0), np.full((1, 4, 3, 2), 0.5)
    batch = GameRollout(game, 2).sample(*policy, Streams([0]))
    features = leader.features(batch)
    for n in range(2 * game.max_episode_steps):
        left = game.max_episode_steps - 1 - n % game.max_episode_steps
        expected = np.zeros(12)
        pair = 3 * int(batch.state[0, n]) + int(batch.leader_action[0, n])
        expected[pair] = sum(0.9**k for k in range(1, left + 1))
        np.testing.assert_allclose(features[0, n], expected, rtol=1e-12, atol=1e-14)
