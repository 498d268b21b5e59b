"""BilevelLQR as its follower faces it."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.deep.view import Floats32, FollowerView, ViewOptions
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

Floats = NDArray[np.float64]


class LinearFollowerView(FollowerView):
    """BilevelLQR: observes x and the leader's innovation (a - K x) / W, plays u / `action_bound`.

    The leader's action is drawn inside. Together with x its innovation tells the same as a, which
    the follower could hardly tell from K x where W is small.
    """

    def __init__(
        self, problem: BilevelLQR, theta: Floats, leader_noise: float, options: ViewOptions
    ) -> None:
        """See `FollowerView`; `leader_noise` is W."""
        self.problem, self._noise = problem, leader_noise
        states, actions = problem.leader_matrix.shape
        self._state, self._innovation = np.zeros(states), np.zeros(actions)
        units = problem.follower_matrix.shape[1]
        super().__init__(options, theta, states + actions, units, problem.max_episode_steps)

    def _face(self, theta: Floats) -> None:
        self._gain = self.problem.gain(theta)[0]

    def _begin(self) -> None:
        self._state = self.problem.initial_state
        self._innovation = self.np_random.standard_normal(len(self._innovation))

    def _play(self, action: Floats) -> float:
        reward = float(self.problem.follower_reward(self._state, action))
        leader = self._gain @ self._state + self._noise * self._innovation
        self._state = self.problem.transition(self._state, leader, action)
        self._innovation = self.np_random.standard_normal(len(self._innovation))
        return reward

    def _observed(self) -> Floats32:
        return np.concatenate([self._state, self._innovation]).astype(np.float32)
