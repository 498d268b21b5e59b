"""A small BilevelLQR with its follower and a critic that identifies it, for tests."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.games import generic_lqr

Floats = NDArray[np.float64]
HORIZON, EPISODES = 6, 4
PROBLEM = generic_lqr(max_episode_steps=HORIZON, leader_noise=0.3)
BETA = np.array([0.1, 0.4])
THETA = 0.2 * np.random.default_rng(1).standard_normal((2, 3))
RESPONSE = MaxEntropyLQR(PROBLEM, BETA).respond(THETA)
CRITIC = LinearModelCritic(PROBLEM)


def batch_of(seeds: list[int]) -> Observations:
    rollout = LinearRollout(PROBLEM, EPISODES)
    return rollout.observe(THETA, RESPONSE, Streams(seeds), at_random=False)
