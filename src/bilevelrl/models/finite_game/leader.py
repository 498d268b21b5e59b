"""A leader that acts in a finite game, as `core.score_function` sees it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.estimator import Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import GameCritic
from bilevelrl.models.finite_game.markov_game import GameSizes
from bilevelrl.models.finite_game.policies import CategoricalPolicy

Integers = NDArray[np.integer]
#: What the direct term's baseline averages over: everything (valid), or the leader's action alone
#: at the follower action that was sampled after it (released code; biased, because the follower
#: answers the leader's action).
Baseline = Literal["state", "sampled_follower_action"]


@dataclass(frozen=True, eq=False)
class FiniteLeader:
    """An `ActingLeader` and `StepwiseLeader` of `core.score_function`, with tables over (s, a, b).

    Attributes:
        policy: f_θ(a | s).
        sizes: of the game.
        critic: of Q_L.
        baseline: of the direct term.
        follower_samples: draws behind E_b[Q_L] in A_L; None takes the exact expectation. The mean
            of that many draws is replaced by its normal limit, which has the same mean and
            variance.
        policy_rate: share of θ in the slow copy that the critic sees, once per update.
    """

    policy: CategoricalPolicy
    sizes: GameSizes
    critic: GameCritic
    baseline: Baseline = "state"
    follower_samples: int | None = None
    policy_rate: float = 1.0

    def start(self, streams: Streams) -> Memory:
        """The critic; the slow copy of θ is taken at the first update."""
        return self.critic.start(streams)

    def learn(
        self,
        theta: Floats,
        response: BestResponse,
        stored: Observations,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Move the slow copy of θ, then let the critic learn."""
        slow = memory.setdefault("slow_theta", theta.copy())
        slow += self.policy_rate * (theta - slow)
        leader = (self.policy.probabilities(theta), self.policy.probabilities(slow))
        self.critic.learn(stored, batch, leader, response.policy, memory, streams)

    def leader_advantage(
        self,
        theta: Floats,
        response: BestResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A at drawn transitions, shape (R, n)."""
        del streams
        values = self.critic.action_values(memory)
        leader = self.policy.probabilities(theta)[:, None, :, :, None]
        if self.baseline == "state":
            values = (response.policy[:, None] * values).sum(axis=4, keepdims=True)
        values = values - (leader * values).sum(axis=3, keepdims=True)
        every_answer = np.broadcast_to(values, (*values.shape[:4], response.policy.shape[3]))
        return _at(every_answer, drawn, time)

    def follower_side_advantage(
        self,
        theta: Floats,
        response: BestResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A_L at drawn transitions, shape (R, n)."""
        del theta
        values, policy = self.critic.action_values(memory), response.policy[:, None]
        mean = (policy * values).sum(axis=4, keepdims=True)
        advantage = _at(values - mean, drawn, time)
        if self.follower_samples is None:
            return advantage
        variance = (policy * np.square(values - mean)).sum(axis=4, keepdims=True)
        error = np.sqrt(_at(np.broadcast_to(variance, values.shape), drawn, time))
        noise = streams.normals("actor", time.shape[1:])
        noisy: Floats = advantage + error * noise / np.sqrt(self.follower_samples)
        return noisy

    def follower_factor(
        self, theta: Floats, response: BestResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F(s, a), the follower's advantage over leader actions, shape (R, N).

        A_F = V_F(s, a) - Σ_a' f V_F(s, a'); V_F would do as well, because the score's mean is zero.
        """
        del memory
        leader, value = self.policy.probabilities(theta), response.value
        advantage = value - (leader * value).sum(axis=2, keepdims=True)
        runs = np.arange(len(theta))[:, None]
        here: Floats = advantage[runs, batch.state, batch.leader_action]
        return here

    def sensitivity(
        self, theta: Floats, response: BestResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F(s, a) at the place of (s, a) in a flat table, shape (R, N, S A)."""
        factor = self.follower_factor(theta, response, batch, memory)
        rows: Floats = self._one_hot(batch) * factor[:, :, None]
        return rows

    def _one_hot(self, batch: Observations) -> Floats:
        actions = self.sizes.num_leader_actions
        pair = batch.state.astype(np.int64) * actions + batch.leader_action
        rows: Floats = np.eye(self.sizes.num_states * actions)[pair]
        return rows

    def from_coordinates(self, theta: Floats, coordinates: Floats) -> Floats:
        """A flat table of weights (R, S A) as a gradient, shape (R, D)."""
        return self.policy.pull_back(theta, coordinates.reshape(self._shape(theta)))

    def _shape(self, theta: Floats) -> tuple[int, int, int]:
        return len(theta), self.sizes.num_states, self.sizes.num_leader_actions

    def features(self, batch: Observations) -> Floats:
        """One-hot (s, a) times the discounted number of steps to go, shape (R, N, S A)."""
        horizon, gamma = self.sizes.max_episode_steps, self.sizes.follower_discount
        left = np.arange(horizon - 1, -1, -1, dtype=np.float64)
        to_go = gamma * (1.0 - gamma**left) / (1.0 - gamma)
        repeats = batch.leader_reward.shape[1] // horizon
        rows: Floats = self._one_hot(batch) * np.tile(to_go, repeats)[:, None]
        return rows

    def pull_back(
        self, theta: Floats, state: Integers, action: Integers, weights: Floats
    ) -> Floats:
        """Σ_k w_k ∇_θ log f_θ(a_k | s_k), shape (R, D)."""
        shape = self._shape(theta)
        runs = np.broadcast_to(np.arange(len(theta))[:, None], state.shape)
        flat = np.ravel_multi_index((runs, state, action), shape).ravel()
        table = np.bincount(flat, weights.ravel(), math.prod(shape)).astype(np.float64)
        return self.policy.pull_back(theta, table.reshape(shape))


def _at(values: Floats, drawn: Observations, time: Index) -> Floats:
    """values(t, s, a, b) of the drawn transitions; a single time stands for all."""
    runs = np.arange(len(values))[:, None]
    step = time if values.shape[1] > 1 else np.zeros_like(time)
    found: Floats = values[runs, step, drawn.state, drawn.leader_action, drawn.follower_action]
    return found
