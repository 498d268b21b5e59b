"""HPGD: hyper-policy-gradient descent (Thoma et al.), as compared in arXiv 2603.14867.

    indirect = (1/β) E[Σ_t γ^t A_L(s_t, a_t) (∇_θ Q_F(s_t, a_t) - ∇_θ V_F(s_t))]

Both sides are centred. The follower's side is estimated by every-visit averages over a batch: the
samples of BC-HG minus their mean over the visits of the state, whatever was played there. With one
or two visits per state that subtraction removes most of the signal. The variants differ in A_L
only.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import count_visits, episode_weight, traced_weights
from bilevelrl.models.tabular.critic import Critic, policy_advantage
from bilevelrl.models.tabular.monte_carlo import monte_carlo
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.rollout import Rollout


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
        batch = own.rollout.sample(policy, streams)
        follower_batch = batch if self.oracle is None else self.oracle.sample(policy, streams)
        reward = own.problem.leader_reward(theta)
        if self.critic is None:
            advantage = monte_carlo(follower_batch, reward, own.discount).advantage
        else:
            self.critic.update(memory["critic"], batch, reward, policy, streams)
            advantage = policy_advantage(memory["critic"], policy)
        per_time = episode_weight(batch, own.normalisation)
        paired = count_visits(batch, advantage.shape, own.discount, per_time).weighted * advantage
        every = np.ones((len(theta), follower_batch.state.shape[2]))
        count = count_visits(follower_batch, advantage.shape, own.discount, every).number
        per_pair = paired / np.maximum(1.0, count)
        per_state = paired.sum(axis=2) / np.maximum(1.0, count.sum(axis=2))
        centred = per_pair - per_state[:, :, None]
        weights = traced_weights(follower_batch, centred, own.discount)
        indirect = own.problem.pull_back_follower_reward(theta, weights)
        oracle_steps = 0 if self.oracle is None else self.oracle.env_steps
        return own.estimate(theta, batch, indirect / self.temperature[:, None], oracle_steps)
