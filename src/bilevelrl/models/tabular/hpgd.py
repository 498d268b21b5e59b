"""HPGD: hyper-policy-gradient descent (Thoma et al.), as compared in arXiv 2603.14867.

    indirect = (1/β) E[Σ_t γ^t A_L(s_t, a_t) (∇_θ Q_F(s_t, a_t) - ∇_θ V_F(s_t))]

Both sides are centred. The follower's side is estimated by every-visit averages over a batch: the
samples of BC-HG minus their mean over the visits of the state, whatever was played there. With one
or two visits per state that subtraction removes most of the signal. The variants differ in A_L
only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import Normalisation, count_visits, episode_weight, traced_weights
from bilevelrl.models.tabular.critic import Critic, policy_advantage
from bilevelrl.models.tabular.monte_carlo import monte_carlo
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.rollout import Rollout

Floats = NDArray[np.float64]


def centred_term(
    problem: TabularProblem,
    theta: Floats,
    batch: Batch,
    follower_batch: Batch,
    advantage: Floats,
    temperature: Floats,
    discount: float,
    normalisation: Normalisation = "started_episodes",
) -> Floats:
    """Estimate the indirect part with Q̂[G] - V̂[G] on the follower's side, shape (R, D).

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        batch: on-policy transitions over which A_L is summed.
        follower_batch: transitions whose returns of ∇_θ r_F are averaged; may be `batch` itself.
        advantage: A_L(s, a), shape (R, S, A).
        temperature: β of each run, shape (R,).
        discount: γ.
        normalisation: see `episode_weight`.
    """
    per_time = episode_weight(batch, normalisation)
    paired = count_visits(batch, advantage.shape, discount, per_time).weighted * advantage
    every = np.ones((len(theta), follower_batch.state.shape[2]))
    count = count_visits(follower_batch, advantage.shape, discount, every).number
    per_pair = paired / np.maximum(1.0, count)
    per_state = paired.sum(axis=2) / np.maximum(1.0, count.sum(axis=2))
    weights = traced_weights(follower_batch, per_pair - per_state[:, :, None], discount)
    return problem.pull_back_follower_reward(theta, weights) / temperature[:, None]


@dataclass(frozen=True, eq=False)
class HPGD:
    """HPGD with a Monte-Carlo (MC), SARSA (SA) or oracle advantage.

    Attributes:
        sampling: problem, batches and how both terms are averaged over them.
        temperature: β of each run, shape (R,).
        critic: learns Q_L, for HPGD (SA); None uses Monte-Carlo tables.
        oracle: extra batches from uniformly drawn states for HPGD (oracle), from which both tables
            are then made; None uses the on-policy batch.
    """

    sampling: OnPolicy
    temperature: Floats
    critic: Critic | None = None
    oracle: Rollout | None = None

    def start(self, streams: Streams) -> Memory:
        """The critic's table, if there is a critic."""
        if self.critic is None:
            return {}
        return {"critic": self.critic.start(self.sampling.shape, streams)}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Draw the batches and estimate both terms."""
        policy, own = response.policy, self.sampling
        batch = own.sample(policy, streams)
        follower_batch = batch if self.oracle is None else self.oracle.sample(policy, streams)
        reward = own.problem.leader_reward(theta)
        if self.critic is None:
            advantage = monte_carlo(follower_batch, reward, own.discount).advantage
        else:
            self.critic.update(memory["critic"], batch, reward, policy, streams)
            advantage = policy_advantage(memory["critic"], policy)
        indirect = centred_term(
            own.problem, theta, batch, follower_batch, advantage,
            self.temperature, own.discount, own.normalisation,
        )  # fmt: skip
        oracle_steps = 0 if self.oracle is None else self.oracle.env_steps
        return own.estimate(theta, batch, indirect, oracle_steps)
