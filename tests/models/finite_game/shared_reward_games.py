"""A random game whose leader shares its follower's reward, and what the entropy is there."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame, leader_return
from bilevelrl.models.finite_game.random_game import random_game
from bilevelrl.models.finite_game.soft_q_iteration import Order, SoftQIteration
from tests.games import random_policies

Floats = NDArray[np.float64]
GAMMA, BETA = 0.9, 0.5
GAME = random_game(60000, GameSizes(4, 3, 2, GAMMA, GAMMA, 100))
LEADER = random_policies(3, 4, 3)
TEMPERATURE = np.array([0.1, 0.5, 2.0])
SHARED = [-1.0, 1.0]
THETA = 0.7 * np.random.default_rng(0).standard_normal((1, 12))


def answer(leader: Floats, temperature: Floats, order: Order = "correct") -> BestResponse:
    follower = SoftQIteration(GAME, temperature, 1e-12, 200, order)
    return follower.respond(leader, follower.start(len(leader)))


def soft_game(leader_reward: Floats, policy: Floats, temperature: float) -> MarkovGame:
    """The leader is paid its reward and the follower's entropy bonus, at a policy held fixed."""
    return replace(GAME, leader_reward=leader_reward - temperature * np.log(policy))


def entropy(leader: Floats, policies: Floats, bonus: Floats) -> Floats:
    """E[Σ γ^t h] without end of policies (N, ...), for h (N, S, A, B) or one of all."""
    rewards = np.broadcast_to(bonus, policies.shape)
    return np.array(
        [
            leader_return(
                replace(GAME, leader_reward=reward), f[None], pi[None],
                discount=GAMMA, horizon=None,
            )[0]
            for f, pi, reward in zip(leader, policies, rewards, strict=True)
        ]
    )  # fmt: skip
