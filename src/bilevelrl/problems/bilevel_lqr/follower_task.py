"""BilevelLQR as followers play it that act on single states.

A state is what the follower sees: x, and the leader's innovation ξ = (a - K x) / W.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import Observations
from bilevelrl.models.deep.players import (
    Episodes,
    Player,
    RegulatorPlayer,
    discounted,
    transitions,
)
from bilevelrl.models.deep.settings import ComparedSacParams
from bilevelrl.models.deep.view import Floats32, FollowerView
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector


class LinearFollowerView(FollowerView):
    """Observes x and ξ, plays u / `action_bound`; the leader's action is drawn inside.

    Together with x its innovation tells the same as a, which the follower could hardly tell from
    K x where W is small.
    """

    def __init__(self, problem: BilevelLQR, theta: Floats, rule: ComparedSacParams) -> None:
        """See `FollowerView`."""
        self.problem = problem
        states, actions = problem.leader_matrix.shape
        self._state, self._innovation = np.zeros(states), np.zeros(actions)
        super().__init__(
            theta,
            states + actions,
            problem.follower_matrix.shape[1],
            rule.training_horizon,
            bound=rule.action_bound,
        )

    def _begin(self) -> None:
        self._state = self.problem.initial_state
        self._innovation = self.np_random.standard_normal(len(self._innovation))

    def _play(self, action: Floats) -> tuple[float, bool]:
        problem = self.problem
        reward = float(problem.follower_reward(self._state, action))
        gain = problem.gain(self.theta[None])[0]
        leader = gain @ self._state + problem.leader_noise * self._innovation
        self._state = problem.transition(self._state, leader, action)
        self._innovation = self.np_random.standard_normal(len(self._innovation))
        return reward, False

    def _observed(self) -> Floats32:
        return np.concatenate([self._state, self._innovation]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class LinearFollowerTask:
    """Implements `players.FollowerTask`.

    Attributes:
        problem: the bi-level problem, whose leader's noise is W.
        return_discount: of the J that is reported.
    """

    problem: BilevelLQR
    return_discount: float

    @property
    def follower_discount(self) -> float:
        """The follower's γ."""
        return self.problem.follower_discount

    @property
    def numbers_per_episode(self) -> int:
        """The leader's and the follower's of every step."""
        problem = self.problem
        actions, controls = problem.leader_matrix.shape[1], problem.follower_matrix.shape[1]
        return int(problem.max_episode_steps * (actions + controls))

    def view(self, theta: Floats, rule: ComparedSacParams) -> LinearFollowerView:
        """See `players.FollowerTask`."""
        return LinearFollowerView(self.problem, theta, rule)

    def best(self, theta: Floats, temperature: float) -> tuple[RegulatorPlayer, float]:
        """See `players.FollowerTask`."""
        problem = self.problem
        response = MaxEntropyLQR(problem, np.array([temperature])).respond(theta[None])
        pushed = problem.leader_noise * response.noise_gain[0] @ problem.leader_matrix
        gain = np.concatenate([response.state_gain[0], pushed], axis=1)
        # E[V_F(x_0, a)] over the leader's first action.
        push = problem.leader_noise**2 * problem.leader_matrix.T @ response.noise[0]
        start = problem.initial_state
        cost = start @ response.quadratic[0] @ start + np.trace(push @ problem.leader_matrix)
        return RegulatorPlayer(gain, response.covariance[0]), -float(cost + response.offset[0])

    def play(self, theta: Floats, player: Player, normals: Floats) -> Episodes:
        """See `players.FollowerTask`; numbers are used in the order of `LinearRollout`."""
        problem = self.problem
        actions = problem.leader_matrix.shape[1]
        gain = problem.gain(theta[None])[0]
        steps = normals.reshape(len(normals), problem.max_episode_steps, -1).swapaxes(0, 1)
        x, rows = np.tile(problem.initial_state, (len(normals), 1)), []
        for numbers in steps:
            innovation = numbers[:, :actions]
            seen = np.concatenate([x, innovation], axis=1)
            action, density = player.act(seen, numbers[:, actions:])
            leader = matrix_vector(gain, x) + problem.leader_noise * innovation
            after = problem.transition(x, leader, action)
            rows.append((seen, action, density, after))
            x = after
        return Episodes(*(np.stack(column) for column in zip(*rows, strict=True)))

    def follower_reward(self, episodes: Episodes) -> Floats:
        """See `players.FollowerTask`."""
        return self.problem.follower_reward(self._state(episodes.state), episodes.action)

    def leader_return(self, episodes: Episodes) -> Floats:
        """See `players.FollowerTask`: all of it."""
        reward = self.problem.leader_reward(self._state(episodes.state))
        return discounted(self.return_discount, reward)

    def observations(self, theta: Floats, episodes: Sequence[Episodes]) -> Observations:
        """See `players.FollowerTask`."""
        problem = self.problem
        seen, action, after = transitions(episodes)
        state, innovation = self._state(seen), seen[:, :, len(problem.state_matrix) :]
        leader = matrix_vector(problem.gain(theta)[:, None], state)
        leader += problem.leader_noise * innovation
        rewards = problem.leader_reward(state), problem.follower_reward(state, action)
        return Observations(state, leader, action, after, *rewards)

    def _state(self, seen: Floats) -> Floats:
        return seen[..., : len(self.problem.state_matrix)]
