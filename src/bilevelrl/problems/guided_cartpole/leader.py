"""A leader that guides a cart-pole, as `core.score_function` sees it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats, Index
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.random_features import remember, solved, sums, temporal_difference
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.belief import (
    VALUE_SIZE,
    Answers,
    WatchedFollower,
    value_rows,
)
from bilevelrl.problems.guided_cartpole.critic import ArrivalCritic
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.view import scaled

_SLOPE = "follower_slope"


@dataclass(frozen=True, eq=False)
class CartPoleLeader:
    """An `ActingLeader` and `SensitivityModel` of `core.score_function`.

    Nothing counts after the end of an episode.
    All runs are computed one by one, so that their bits do not depend on one another.

    Attributes:
        policy: f_θ(a | s), a the number of a wind.
        critic: of what follows a step.
        expected: learn the function ∇_θ v_F, too, as `expected_sum` needs it.
    """

    policy: ModulePolicy
    critic: ArrivalCritic
    expected: bool = False

    def start(self, streams: Streams) -> Memory:
        """The critics."""
        return self.critic.start(streams)

    def learn(
        self,
        theta: Floats,
        response: WatchedFollower,
        stored: Observations,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Let the critics learn from the newest batch."""
        del stored, streams
        batch = _masked(batch)
        self.critic.learn(batch, memory)
        if self.expected:
            self._learn_slope(theta, response, batch, memory)

    def _learn_slope(
        self, theta: Floats, response: WatchedFollower, batch: CartPoleBatch, memory: Memory
    ) -> None:
        belief, size = response.belief, self.policy.num_parameters
        if f"{_SLOPE}_matrix" not in memory:
            memory |= sums(VALUE_SIZE, size, len(theta), _SLOPE)
        for run, alive in enumerate(batch.alive):
            state = batch.state[run][alive]
            policy = self.policy.probabilities(theta[run], scaled(state))
            values = response.soft_values(run, state)
            weights = policy * (values - (policy * values).sum(axis=1, keepdims=True))
            here = value_rows(state)
            slopes = self.policy.pull_back(
                theta[run], scaled(state), here.T[:, :, None] * weights[None]
            )
            following = value_rows(batch.next_state[run][alive])
            fell = batch.terminated[run][alive]
            matrix, _ = temporal_difference(
                here, following, np.zeros((len(here), 0)), belief.discount, fell
            )
            remember(memory, _SLOPE, run, (matrix, slopes), belief.forgetting_factor)

    def leader_advantage(
        self,
        theta: Floats,
        response: WatchedFollower,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A = E_b Q_L(s, a, b) minus its mean over a, shape (R, n)."""
        del streams
        drawn, advantage = _masked(drawn), np.zeros(drawn.leader_reward.shape)
        for run, alive in enumerate(drawn.alive):
            state = drawn.state[run][alive]
            ahead = response.answers(run, state)
            values = self._expected(run, ahead, time[run][alive], memory)
            chosen = drawn.leader_action[run][alive]
            advantage[run, alive] = self._centred(theta[run], state, values, chosen)
        return advantage

    def follower_side_advantage(
        self,
        theta: Floats,
        response: WatchedFollower,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A_L = Q_L(s, a, b) - E_b Q_L(s, a, b), shape (R, n)."""
        del theta, streams
        drawn, advantage = _masked(drawn), np.zeros(drawn.leader_reward.shape)
        winds = response.belief.winds
        for run, alive in enumerate(drawn.alive):
            state, chosen = drawn.state[run][alive], drawn.leader_action[run][alive]
            step = time[run][alive]
            push = drawn.follower_action[run][alive][:, 0]
            arrival = response.arrival(run, state, winds[chosen], push)
            ahead = response.answers(run, state, winds[chosen][:, None])
            mean = self._expected(run, ahead, step, memory)[:, 0]
            reached = self.critic.values(run, arrival, step + 1, memory)
            advantage[run, alive] = reached - mean
        return advantage

    def follower_factor(
        self, theta: Floats, response: WatchedFollower, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F(s, a), shape (R, N)."""
        del memory
        batch = _masked(batch)
        factor = np.zeros(batch.leader_reward.shape)
        for run, alive in enumerate(batch.alive):
            state, chosen = batch.state[run][alive], batch.leader_action[run][alive]
            values = response.soft_values(run, state)
            factor[run, alive] = self._centred(theta[run], state, values, chosen)
        return factor

    def expected_sum(
        self,
        theta: Floats,
        response: WatchedFollower,
        batch: Observations,
        injection: Floats,
        memory: Memory,
    ) -> Floats:
        """Σ_k i_k γ_F (∇_θ v_F(s') - E_b ∇_θ v_F(s')), shape (R, D).

        With ∇_θ v_F linear in `value_rows`, the sum over transitions is one over these few.
        """
        belief, batch = response.belief, _masked(batch)
        total = np.zeros(theta.shape)
        for run, alive in enumerate(batch.alive):
            state, chosen = batch.state[run][alive], batch.leader_action[run][alive]
            push = batch.follower_action[run][alive][:, 0]
            blown = belief.winds[chosen]
            ahead = response.answers(run, state, blown[:, None])
            every = value_rows(ahead.arrival.reshape(-1, 4))
            mean = np.tensordot(ahead.weight, every.reshape(len(state), len(ahead.weight), -1),
                                axes=(0, 1))  # fmt: skip
            reached = value_rows(response.arrival(run, state, blown, push))
            weights = belief.discount * injection[run][alive] @ (reached - mean)
            total[run] = weights @ solved(memory, _SLOPE, run, belief.ridge)
        return total

    def pull_back(
        self, theta: Floats, state: AnyArray, action: AnyArray, weights: Floats
    ) -> Floats:
        """Σ_k w_k ∇_θ log f_θ(a_k | s_k), shape (R, D)."""
        choices = np.eye(self.policy.num_actions)[action] * weights[:, :, None]
        runs = zip(theta, scaled(state), choices[:, None], strict=True)
        return np.concatenate([self.policy.pull_back(*run) for run in runs])

    def _expected(self, run: int, ahead: Answers, time: Index, memory: Memory) -> Floats:
        later = np.repeat(time + 1, int(np.prod(ahead.arrival.shape[1:3])))
        return ahead.mean(self.critic.values(run, ahead.arrival.reshape(-1, 4), later, memory))

    def _centred(self, theta: Floats, state: Floats, values: Floats, chosen: Index) -> Floats:
        mean = (self.policy.probabilities(theta, scaled(state)) * values).sum(axis=1)
        advantage: Floats = values[np.arange(len(values)), chosen] - mean
        return advantage


def _masked(batch: Observations) -> CartPoleBatch:
    assert isinstance(batch, CartPoleBatch)
    return batch


@dataclass(frozen=True)
class Idle:
    """Implements `Estimator` for a leader that never learns."""

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(self, theta: Floats, response: Any, memory: Memory, streams: Streams) -> Estimate:
        """Zeros, from no samples."""
        del response, memory, streams
        return Estimate(np.zeros_like(theta), np.zeros_like(theta), np.full(len(theta), np.nan))
