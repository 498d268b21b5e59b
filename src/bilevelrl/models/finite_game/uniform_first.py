"""A follower that has not looked at the leader yet when it is asked for the first time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.soft_q_iteration import SoftQFollower

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UniformFirst:
    """Answers uniformly with V_F = 0 once, then like `follower` from its own start.

    The released code solves for the follower after each update of the leader, so that its first
    update meets a follower that never planned; V_F is then 0 and not the value β log B of a Q table
    of zeros. Memory is NaN until the first answer has been given.

    Attributes:
        follower: all later answers.
    """

    follower: SoftQFollower

    @property
    def game(self) -> MarkovGame:
        """The finite game."""
        return self.follower.game

    @property
    def temperature(self) -> Floats:
        """β of each run, shape (R,)."""
        return self.follower.temperature

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Memory of `follower`'s shape, all NaN."""
        return np.full_like(self.follower.start(num_runs, streams), np.nan)

    def respond(self, leader_policy: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """The uniform answer if it is the first one, else that of `follower`."""
        if not np.isnan(memory).all():
            return self.follower.respond(leader_policy, memory, streams)
        game, num_runs = self.game, len(leader_policy)
        leader = game.checked_leader_policy(leader_policy)
        memory[:] = self.follower.start(num_runs, streams)
        num_actions = game.num_follower_actions
        policy = np.full((num_runs, *game.follower_reward.shape), 1.0 / num_actions)
        # What V*_F can be at most: the best reward and the largest entropy bonus in every step.
        largest = np.abs(game.follower_reward).max() + self.temperature * np.log(num_actions)
        accuracy = largest / (1.0 - game.follower_discount)
        iterations = np.zeros(num_runs, dtype=np.int64)
        return BestResponse(policy, np.zeros(leader.shape), accuracy, iterations)
