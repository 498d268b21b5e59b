"""The unrolled follower of finite games: finite differences, a derivation by hand, its limit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import leader_return
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.unrolled import Start, UnrolledFollower, unrolled
from tests.games import random_game
from tests.models.finite_game.hypergradients import best_response

Floats = NDArray[np.float64]
GAME = random_game()
BETA = np.array([0.2, 0.5])
THETA = np.random.default_rng(0).standard_normal((2, 12))
POLICY = TabularPolicy(4, 3)
LEADER = POLICY.probabilities(THETA)
ANSWER = best_response(GAME, LEADER, BETA, "correct")
ZERO = np.zeros((2, 4, 3))


def swept(leader: Floats, sweeps: int, value: Floats) -> Floats:
    """π_K of as many sweeps, written out."""
    beta = BETA[:, None, None, None]
    for _ in range(sweeps):
        state_value = (leader * value).sum(axis=2)
        table = GAME.follower_reward + GAME.follower_discount * np.einsum(
            "sabt,rt->rsab", GAME.transition, state_value
        )
        grown = np.exp(table / beta)
        total = grown.sum(axis=3, keepdims=True)
        value = (beta * np.log(total))[..., 0]
        policy = grown / total
    checked: Floats = policy
    return checked


def reached(theta: Floats, sweeps: int, value: Floats) -> Floats:
    leader = POLICY.probabilities(theta)
    return leader_return(
        GAME, leader, swept(leader, sweeps, value),
        discount=GAME.leader_discount, horizon=GAME.max_episode_steps,
    )  # fmt: skip


@pytest.mark.parametrize("start", ["answer", "zero"])
@pytest.mark.parametrize("sweeps", [1, 2, 7, 40])
def test_agrees_with_finite_differences_through_the_sweeps(sweeps: int, start: Start) -> None:
    first = ANSWER.value if start == "answer" else ZERO
    tables = unrolled(GAME, LEADER, BETA, np.full(2, sweeps), first)
    np.testing.assert_allclose(tables.leader_return, reached(THETA, sweeps, first), rtol=1e-12)
    estimator = UnrolledFollower(GAME, POLICY, BETA, np.full(2, sweeps), start)
    found = estimator.estimate(THETA, ANSWER, estimator.start(Streams([0, 1])), Streams([0, 1]))
    for component in range(12):
        step = 1e-5 * np.eye(12)[component]
        ends = [reached(THETA + sign * step, sweeps, first) for sign in (1.0, -1.0)]
        slope = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(found.gradient[:, component], slope, rtol=1e-6, atol=1e-8)


def test_one_sweep_moves_the_next_value_only() -> None:
    weight = np.zeros((2, *GAME.follower_reward.shape))
    for run in range(2):
        pair = LEADER[run, ..., None] * ANSWER.policy[run]
        chain = (pair[..., None] * GAME.transition).sum(axis=(1, 2))
        reward = (pair * GAME.leader_reward).sum(axis=(1, 2))
        values = [np.zeros(4)]
        for _ in range(GAME.max_episode_steps):
            values.append(reward + GAME.leader_discount * chain @ values[-1])
        visits = GAME.initial.copy()
        for t in range(GAME.max_episode_steps):
            later = values[GAME.max_episode_steps - t - 1]
            quality = GAME.leader_reward + GAME.leader_discount * GAME.transition @ later
            advantage = quality - (ANSWER.policy[run] * quality).sum(axis=2, keepdims=True)
            weight[run] += visits[:, None, None] * pair * advantage / BETA[run]
            visits = GAME.leader_discount * visits @ chain
    arriving = GAME.follower_discount * np.einsum("rsab,sabt->rt", weight, GAME.transition)
    by_hand = arriving[:, :, None] * ANSWER.value
    found = unrolled(GAME, LEADER, BETA, np.ones(2, dtype=np.int64), ANSWER.value)
    np.testing.assert_allclose(found.indirect, by_hand, rtol=1e-10)
    nothing = unrolled(GAME, LEADER, BETA, np.ones(2, dtype=np.int64), ZERO)
    np.testing.assert_array_equal(nothing.indirect, 0.0)


@pytest.mark.parametrize("start", ["answer", "zero"])
def test_many_sweeps_are_the_exact_hypergradient(start: Start) -> None:
    truth = game_hypergradient(
        GAME, LEADER, ANSWER, BETA,
        discount=GAME.leader_discount, horizon=GAME.max_episode_steps, order="correct",
    )  # fmt: skip
    expected = POLICY.pull_back(THETA, (truth.direct + truth.indirect) * LEADER)
    norm, off = np.linalg.norm(expected, axis=1), []
    for sweeps in (2, 300):
        estimator = UnrolledFollower(GAME, POLICY, BETA, np.full(2, sweeps), start)
        found = estimator.estimate(THETA, ANSWER, {}, Streams([0, 1]))
        off.append(np.linalg.norm(found.gradient - expected, axis=1) / norm)
        assert found.env_steps == 0
    assert (off[0] > 1e-4).all()
    assert (off[1] < 1e-6).all()


def test_refuses_no_sweep() -> None:
    with pytest.raises(ValueError, match="sweeps = 0 of run 0: at least 1 is needed"):
        unrolled(GAME, LEADER, BETA, np.array([0, 1]), ZERO)
