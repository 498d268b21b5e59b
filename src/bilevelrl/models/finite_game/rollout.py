"""On-policy batches of a finite game."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.markov_game import MarkovGame


@kernel
def draw(probabilities, uniform):  # type: ignore[no-untyped-def]
    """The outcome of a distribution, shape (n,), that a uniform number in [0, 1) stands for."""
    cumulative = 0.0
    for k in range(len(probabilities) - 1):
        cumulative += probabilities[k]
        if uniform < cumulative:
            return k
    return len(probabilities) - 1


@parallel_kernel
def _simulate(  # type: ignore[no-untyped-def]
    transition, initial, leader, follower, uniforms, state, leader_action, follower_action, after
):
    num_runs, num_episodes, horizon, _ = uniforms.shape
    for r in numba.prange(num_runs):
        for e in range(num_episodes):
            s = draw(initial, uniforms[r, e, 0, 3])
            for t in range(horizon):
                a = draw(leader[r, s], uniforms[r, e, t, 0])
                b = draw(follower[r, s, a], uniforms[r, e, t, 1])
                following = draw(transition[s, a, b], uniforms[r, e, t, 2])
                n = e * horizon + t
                state[r, n], leader_action[r, n], follower_action[r, n] = s, a, b
                after[r, n] = following
                s = following


@dataclass(frozen=True, eq=False)
class GameRollout:
    """Whole episodes of a `MarkovGame`, `num_episodes` per batch and run."""

    game: MarkovGame
    num_episodes: int

    @property
    def env_steps(self) -> int:
        """Transitions per batch and run."""
        return self.num_episodes * self.game.max_episode_steps

    def sample(self, leader: Floats, follower: Floats, streams: Streams) -> Observations:
        """A batch under f(a | s), shape (R, S, A), and π(b | s, a), shape (R, S, A, B)."""
        game = self.game
        shape = (self.num_episodes, game.max_episode_steps, 4)
        uniforms = streams.uniforms("rollout", shape)
        arrays = [np.empty((len(leader), self.env_steps), dtype=np.int16) for _ in range(4)]
        _simulate(game.transition, game.initial, leader, follower, uniforms, *arrays)
        state, leader_action, follower_action, after = arrays
        reward = game.leader_reward[state, leader_action, follower_action]
        return Observations(state, leader_action, follower_action, after, reward)
