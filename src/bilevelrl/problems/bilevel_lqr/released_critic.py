"""The released code's critic of BilevelLQR: a network on (x, u, a) that bootstraps from modes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.estimator import Memory
from bilevelrl.core.mlp import Mlp
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector
from bilevelrl.problems.bilevel_lqr.response import LinearGaussianResponse

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearNetworkCritic:
    """Q_L(x, u, a); its slow copy moves once per batch, and modes stand for expectations.

    Attributes:
        problem: its sizes and discount are used.
        steps: C, Adam steps per batch.
        step_size: Adam's, shape (R,).
        target_rate: share of the network in its slow copy, once per batch.
        minibatch: transitions per step, drawn uniformly from all that are stored.
    """

    problem: BilevelLQR
    steps: int
    step_size: Floats
    target_rate: float
    minibatch: int

    @property
    def network(self) -> Mlp:
        """(x, u, a) -> 64 -> 64 -> 1."""
        states, actions = self.problem.leader_matrix.shape
        return Mlp(states + actions + self.problem.follower_matrix.shape[1], 1)

    def start(self, streams: Streams) -> Memory:
        """Xavier-normal weights, the slow copy equal to them."""
        network = self.network
        parameters = network.xavier(streams.normals("critic", (network.num_parameters,)))
        slopes = Adam(self.step_size).start(parameters.shape)
        return {"critic": parameters, "slow_critic": parameters.copy(), **slopes}

    def values(
        self, parameters: Floats, state: Floats, follower_action: Floats, leader_action: Floats
    ) -> Floats:
        """Q_L, shape (R, ...), of states (R, ..., n) and actions (R, ..., m) and (R, ..., l)."""
        inputs = np.concatenate([state, follower_action, leader_action], axis=-1)
        rows = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        return self.network.forward(parameters, rows).reshape(inputs.shape[:-1])

    def learn(
        self,
        stored: Observations,
        theta: Floats,
        slow_theta: Floats,
        follower: LinearGaussianResponse,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """First let the slow copy follow, then take `steps` steps; updates `memory` in place.

        Args:
            stored: all transitions that are kept.
            theta: leader parameters that the follower answers, shape (R, D).
            slow_theta: the leader's slow copy, shape (R, D).
            follower: its policy now.
            memory: of this critic.
            streams: random numbers.
        """
        parameters, slow = memory["critic"], memory["slow_critic"]
        slow += self.target_rate * (parameters - slow)
        rule, size = Adam(self.step_size), stored.leader_reward.shape[1]
        gain = self.problem.gain(slow_theta)[:, None]
        for _ in range(self.steps):
            index = (streams.uniforms("critic", (self.minibatch,)) * size).astype(np.int64)
            drawn = stored.take(index)
            mode = matrix_vector(gain, drawn.next_state)
            answer = follower.mean_action(self.problem, theta, drawn.next_state, mode)
            following = self.values(slow, drawn.next_state, answer, mode)
            target = drawn.leader_reward + self.problem.leader_discount * following
            inputs = np.concatenate(
                [drawn.state, drawn.follower_action, drawn.leader_action], axis=-1
            )
            error = target[:, :, None] - self.network.forward(parameters, inputs)
            descent = self.network.pull_back(parameters, inputs, 2.0 / self.minibatch * error)
            parameters[:] = rule.step(parameters, descent, memory)
