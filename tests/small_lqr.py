"""A small BilevelLQR with its follower and a critic that identifies it, for tests."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.critics.linear_model import LinearModelCritic
from bilevelrl.followers.max_entropy_lqr import MaxEntropyLQR
from bilevelrl.problems.linear_rollout import LinearRollout
from bilevelrl.problems.observations import Observations
from bilevelrl.seeding import Streams
from tests.games import generic_lqr

Floats = NDArray[np.float64]
HORIZON, EPISODES = 6, 4
PROBLEM = generic_lqr(max_episode_steps=HORIZON)
NOISE, BETA = np.array([0.3, 0.1]), np.array([0.1, 0.4])
THETA = 0.2 * np.random.default_rng(1).standard_normal((2, 3))
RESPONSE = MaxEntropyLQR(PROBLEM, BETA, leader_noise=NOISE).respond(THETA)
CRITIC = LinearModelCritic(PROBLEM, NOISE)


def batch_of(seeds: list[int]) -> Observations:
    rollout = LinearRollout(PROBLEM, EPISODES, NOISE)
    return rollout.sample(THETA, RESPONSE, Streams(seeds), at_random=False)
