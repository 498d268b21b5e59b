"""Building thermal control as its follower faces it."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.deep.view import Floats32, FollowerView, ViewOptions
from bilevelrl.problems.thermal_control.problem import ThermalControl

Floats = NDArray[np.float64]


class ThermalFollowerView(FollowerView):
    """Thermal control: observes s / `initial_deviation`, plays a / `action_bound`."""

    def __init__(self, problem: ThermalControl, theta: Floats, options: ViewOptions) -> None:
        """See `FollowerView`."""
        self.problem = problem
        zones, units = problem.input_matrix.shape
        self._state = np.zeros(zones)
        super().__init__(options, theta, zones, units, problem.max_episode_steps)

    def _face(self, theta: Floats) -> None:
        self._drift = self.problem.dynamics(theta)[0]

    def _begin(self) -> None:
        normals = self.np_random.standard_normal(len(self._state))
        self._state = self.problem.initial_deviation * normals

    def _play(self, action: Floats) -> float:
        problem = self.problem
        reward = float(problem.follower_reward(self._state, action))
        mean = self._drift @ self._state + problem.input_matrix @ action
        bounded = np.minimum(np.maximum(mean, -problem.state_limit), problem.state_limit)
        self._state = bounded + problem.noise * self.np_random.standard_normal(len(mean))
        return reward

    def _observed(self) -> Floats32:
        return (self._state / self.problem.initial_deviation).astype(np.float32)
