"""The released critics see a copy of θ that follows the leader slowly, in every game."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import NetworkCritic
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic, NetworkLinearLeader
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.games import random_game

Floats = NDArray[np.float64]
SEEDS, BETA = [3, 4], np.array([0.5, 0.5])
THETAS = 0.3 * np.random.default_rng(0).standard_normal((3, 2, 12))


def finite(rate: float) -> tuple[Any, Any, Any, list[Floats]]:
    game, policy = random_game(), TabularPolicy(4, 3)
    leader = policy.probabilities(THETAS[0])
    follower = SoftQIteration(game, BETA, 1e-9, 200)
    response = follower.respond(leader, follower.start(2))
    batch = GameRollout(game, 2).sample(leader, response.policy, Streams(SEEDS))
    critic = NetworkCritic(game.sizes, 1, np.full(2, 1e-3), 0.01, 8)
    made = FiniteLeader(policy, game.sizes, critic, policy_rate=rate)
    return made, response, batch, list(THETAS)


def linear(rate: float) -> tuple[Any, Any, Any, list[Floats]]:
    problem = BilevelLQR.published(max_episode_steps=10, leader_noise=0.1)
    thetas = [-5.0 + each[:, :2] for each in THETAS]
    response = MaxEntropyLQR(problem, BETA).respond(thetas[0])
    rollout = LinearRollout(problem, 2)
    batch = rollout.observe(thetas[0], response, Streams(SEEDS), at_random=False)
    critic = LinearNetworkCritic(problem, 1, np.full(2, 1e-3), 0.01, 8)
    return NetworkLinearLeader(problem, critic, 4, 4, rate), response, batch, thetas


@pytest.mark.parametrize("make", [finite, linear])
def test_the_copy_starts_at_theta_and_takes_a_share_of_each_step(make: Any) -> None:
    leader, response, batch, thetas = make(0.25)
    streams = Streams(SEEDS)
    memory = leader.start(streams)
    slow = thetas[0].copy()
    for theta in thetas:
        before = theta.copy()
        leader.learn(theta, response, batch, batch, memory, streams)
        slow = 0.75 * slow + 0.25 * theta
        np.testing.assert_allclose(memory["slow_theta"], slow, rtol=1e-12)
        np.testing.assert_array_equal(theta, before)  # a copy, not θ itself


@pytest.mark.parametrize("make", [finite, linear])
def test_the_critic_learns_from_the_copy(make: Any) -> None:
    # After a jump of θ, critics that follow it at once and slowly part ways.
    learned = []
    for rate in (1.0, 0.01):
        leader, response, batch, thetas = make(rate)
        streams = Streams(SEEDS)
        memory = leader.start(streams)
        for theta in (thetas[0], thetas[0] + 30.0 * (thetas[1] - thetas[0])):
            leader.learn(theta, response, batch, batch, memory, streams)
        learned.append(memory["critic"].copy())
    assert (learned[0] != learned[1]).any(axis=1).all()
