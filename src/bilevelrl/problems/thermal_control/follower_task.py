"""Building thermal control as followers face it that act on single states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.deep.players import (
    Episodes,
    Player,
    RegulatorPlayer,
    discounted,
    transitions,
)
from bilevelrl.models.deep.settings import ComparedSacParams
from bilevelrl.models.deep.view import Floats32, FollowerView
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch


class ThermalFollowerView(FollowerView):
    """Observes s / `initial_deviation`, plays a / `action_bound`."""

    def __init__(self, problem: ThermalControl, theta: Floats, rule: ComparedSacParams) -> None:
        """See `FollowerView`."""
        self.problem = problem
        zones, units = problem.input_matrix.shape
        self._state = np.zeros(zones)
        super().__init__(
            theta,
            zones,
            units,
            rule.training_horizon,
            bound=rule.action_bound,
            scale=problem.initial_deviation,
        )

    def _begin(self) -> None:
        normals = self.np_random.standard_normal(len(self._state))
        self._state = self.problem.initial_deviation * normals

    def _play(self, action: Floats) -> tuple[float, bool]:
        problem = self.problem
        reward = float(problem.follower_reward(self._state, action))
        drift = problem.dynamics(self.theta[None])[0]
        mean = drift @ self._state + problem.input_matrix @ action
        bounded = np.clip(mean, -problem.state_limit, problem.state_limit)
        self._state = bounded + problem.noise * self.np_random.standard_normal(len(mean))
        return reward, False

    def _observed(self) -> Floats32:
        return (self._state / self.scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ThermalFollowerTask:
    """Implements `players.FollowerTask`.

    Attributes:
        problem: the bi-level problem.
    """

    problem: ThermalControl

    @property
    def follower_discount(self) -> float:
        """That of both players."""
        return self.problem.discount

    @property
    def numbers_per_episode(self) -> int:
        """One per zone, then units and zones per step."""
        zones, units = self.problem.input_matrix.shape
        return int(zones + self.problem.max_episode_steps * (zones + units))

    def view(self, theta: Floats, rule: ComparedSacParams) -> ThermalFollowerView:
        """See `players.FollowerTask`."""
        return ThermalFollowerView(self.problem, theta, rule)

    def best(self, theta: Floats, temperature: float) -> tuple[RegulatorPlayer, float]:
        """See `players.FollowerTask`."""
        response = ThermalRegulator(self.problem, np.array([temperature])).respond(theta[None])
        player = RegulatorPlayer(response.gain[0], response.covariance[0])
        return player, float(exact_value(self.problem, response)[0])

    def play(self, theta: Floats, player: Player, normals: Floats) -> Episodes:
        """See `players.FollowerTask`; numbers are used in the order of `ThermalRollout`."""
        problem = self.problem
        zones, units = problem.input_matrix.shape
        drift = problem.dynamics(theta[None])[0]
        start, later = normals[:, :zones], normals[:, zones:]
        steps = later.reshape(len(normals), -1, units + zones).swapaxes(0, 1)
        here, rows = problem.initial_deviation * start, []
        for numbers in steps:
            action, density = player.act(here, numbers[:, :units])
            mean = here @ drift.T + action @ problem.input_matrix.T
            bounded = np.clip(mean, -problem.state_limit, problem.state_limit)
            after = bounded + problem.noise * numbers[:, units:]
            rows.append((here, action, density, after))
            here = after
        return Episodes(*(np.stack(column) for column in zip(*rows, strict=True)))

    def follower_reward(self, episodes: Episodes) -> Floats:
        """See `players.FollowerTask`."""
        return self.problem.follower_reward(episodes.state, episodes.action)

    def leader_return(self, episodes: Episodes) -> Floats:
        """See `players.FollowerTask`."""
        reward = self.problem.operating_reward(episodes.state, episodes.action)
        return discounted(self.problem.discount, reward)

    def observations(self, theta: Floats, episodes: Sequence[Episodes]) -> ThermalBatch:
        """See `players.FollowerTask`; the building's noise is not seen."""
        state, action, after = transitions(episodes)
        paid = self.problem.follower_reward(state, action)
        return ThermalBatch.of(self.problem, theta, state, action, after, follower_reward=paid)


def exact_value(problem: ThermalControl, response: RegulatorResponse) -> Floats:
    """The best response's mean soft return, without end, from where episodes start, shape (R,)."""
    cost = problem.initial_deviation**2 * np.trace(response.quadratic, axis1=1, axis2=2)
    value: Floats = -(cost + response.offset)
    return value
