"""The released code's leader in BilevelLQR, as `core.score_function` sees it, and its critic.

The critic is a network on (x, u, a) that bootstraps from modes.
"""

import functools
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.ascent import Adam
from bilevelrl.core.covariance import weighted_sum
from bilevelrl.core.estimator import Memory
from bilevelrl.core.mlp import Mlp
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector
from bilevelrl.problems.bilevel_lqr.rollout import linear_score

#: Gauss-Hermite nodes of the expectations over the leader's (tiny) and the follower's noise: enough
#: for an error below that of the means of draws, although the network is piecewise linear.
_LEADER_NODES, _FOLLOWER_NODES = 3, 15


@functools.lru_cache
def _quadrature(number: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    return nodes, weights / weights.sum()


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

        `follower` answers θ, shape (R, D), and `slow_theta` is the leader's slow copy of it.
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
            arrays = drawn.state, drawn.follower_action, drawn.leader_action
            inputs = np.concatenate(arrays, axis=-1)
            error = target[:, :, None] - self.network.forward(parameters, inputs)
            descent = self.network.pull_back(parameters, inputs, 2.0 / self.minibatch * error)
            parameters[:] = rule.step(parameters, descent, memory)


@dataclass(frozen=True, eq=False)
class NetworkLinearLeader:
    """An `ActingLeader` of `core.score_function` for scalar actions.

    A mean of n draws is replaced by its normal limit: the mean and variance that quadrature finds,
    the latter over n.

    Attributes:
        problem: the bi-level problem, or what the leader knows of it.
        critic: of Q_L.
        leader_samples: draws behind the direct term's baseline, at the sampled follower action.
        follower_samples: draws behind E_u[Q_L] in A_L.
        policy_rate: share of θ in the slow copy that the critic sees, once per update.
    """

    problem: BilevelLQR
    critic: LinearNetworkCritic
    leader_samples: int
    follower_samples: int
    policy_rate: float

    def start(self, streams: Streams) -> Memory:
        """The critic; the slow copy of θ is taken at the first update."""
        return self.critic.start(streams)

    def learn(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        stored: Observations,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Move the slow copy of θ, then let the critic learn."""
        slow = memory.setdefault("slow_theta", theta.copy())
        slow += self.policy_rate * (theta - slow)
        memory["answered"] = theta
        self.critic.learn(stored, theta, slow, response, memory, streams)

    def leader_advantage(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """Q_L minus its sampled mean over the leader's action, shape (R, n)."""
        del response, time
        mean = matrix_vector(self.problem.gain(theta)[:, None], drawn.state)
        nodes, weights = _quadrature(_LEADER_NODES)
        offsets = self.problem.leader_noise * nodes[:, None]
        actions = {"leader_action": mean[:, :, None] + offsets}
        return self._centred(actions, weights, drawn, memory, streams, self.leader_samples)

    def follower_side_advantage(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """Q_L minus its sampled mean over the follower's action, shape (R, n)."""
        del theta, time
        mean = response.mean_action(
            self.problem, memory["answered"], drawn.state, drawn.leader_action
        )
        spread = np.sqrt(response.covariance[:, 0])
        nodes, weights = _quadrature(_FOLLOWER_NODES)
        actions = {"follower_action": mean[:, :, None] + (spread * nodes)[:, None, :, None]}
        return self._centred(actions, weights, drawn, memory, streams, self.follower_samples)

    def _centred(
        self,
        actions: dict[str, Floats],
        weights: Floats,
        drawn: Observations,
        memory: Memory,
        streams: Streams,
        samples: int,
    ) -> Floats:
        """Q_L less its mean over one player's `actions`, shape (R, n, nodes, ...)."""
        own = {name: getattr(drawn, name) for name in ("state", "follower_action", "leader_action")}
        shape = (*drawn.leader_reward.shape, len(weights))
        beside = {
            name: np.broadcast_to(array[:, :, None], (*shape, array.shape[2]))
            for name, array in own.items()
        }
        values = self.critic.values(memory["critic"], **beside | actions)
        mean = (weights * values).sum(axis=2)
        variance = (weights * np.square(values - mean[:, :, None])).sum(axis=2)
        noise = streams.normals("actor", mean.shape[1:])
        sampled: Floats = mean + np.sqrt(variance / samples) * noise
        return self.critic.values(memory["critic"], **own) - sampled

    def follower_factor(
        self, theta: Floats, response: LinearGaussianResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """V_F(x, a), without a baseline (released code), shape (R, N)."""
        del theta
        return response.value(self.problem, memory["answered"], batch.state, batch.leader_action)

    def pull_back(self, theta: Floats, state: Floats, action: Floats, weights: Floats) -> Floats:
        """Σ_k w_k (a_k - K x_k) x_kᵀ / W², shape (R, D)."""
        return weighted_sum(weights, linear_score(self.problem, theta, state, action))
