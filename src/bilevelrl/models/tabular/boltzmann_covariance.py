"""BC-HG: the Boltzmann covariance hypergradient (arXiv 2603.14867).

For a soft-optimal follower ∇_θ log π = (∇_θ Q_F - E_π[∇_θ Q_F]) / β, hence

    indirect = (1/β) E[Σ_t γ_L^t Cov_π(Q_L(s_t, ·), ∇_θ Q_F(s_t, ·))].

Centring Q_L under π is enough for a covariance, so the follower's side needs no baseline. That is
the whole difference to HPGD (SA) in `hpgd.py`.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import Normalisation, count_visits, episode_weight, powers, traced_weights
from bilevelrl.models.tabular.critic import Critic, policy_advantage
from bilevelrl.models.tabular.on_policy import Averaging, OnPolicy
from bilevelrl.models.tabular.problem import RewardInfluence


def covariance_term(
    influence: RewardInfluence,
    theta: Floats,
    batch: Batch,
    advantage: Floats,
    temperature: Floats,
    discount: float,
    *,
    averaging: Averaging = "episodes",
    normalisation: Normalisation = "started_episodes",
) -> Floats:
    """Estimate (1/β) E[Σ_t γ^t A_L(s_t, a_t) Σ_{k≥t} γ^{k-t} ∇_θ r_F(s_k, a_k; θ)], shape (R, D).

    Args:
        influence: what θ does to the rewards.
        theta: leader parameters, shape (R, D).
        batch: transitions under the follower's policy.
        advantage: A_L(s, a), centred under that policy, shape (R, S, A).
        temperature: β of each run, shape (R,).
        discount: γ, of leader and follower alike.
        averaging: see `Averaging`.
        normalisation: see `episode_weight`.
    """
    per_time = episode_weight(batch, normalisation)
    if averaging == "every_visit":
        visits = count_visits(batch, advantage.shape, discount, per_time)
        injection = visits.weighted * advantage / np.maximum(1.0, visits.number)
        weights = traced_weights(batch, injection, discount)
    else:
        discounts = powers(discount, batch.state.shape[2])
        weights = traced_weights(
            batch, advantage, discount, by_time=discounts, visit_weight=per_time
        )
    return influence.pull_back_follower_reward(theta, weights) / temperature[:, None]


@dataclass(frozen=True, eq=False)
class BoltzmannCovariance:
    """BC-HG.

    Attributes:
        sampling: problem, batches and how both terms are averaged over them.
        critic: learns Q_L from the same batches.
        temperature: β of each run, shape (R,).
    """

    sampling: OnPolicy
    critic: Critic
    temperature: Floats

    def start(self, streams: Streams) -> Memory:
        """The critic's table."""
        return {"critic": self.critic.start(self.sampling.shape, streams)}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Draw a batch, let the critic learn from it, and estimate both terms from it."""
        policy, own = response.policy, self.sampling
        batch = own.rollout.sample(policy, streams)
        reward = own.problem.leader_reward(theta)
        self.critic.update(memory["critic"], batch, reward, policy, streams)
        advantage = policy_advantage(memory["critic"], policy)
        indirect = covariance_term(
            own.problem, theta, batch, advantage, self.temperature, own.discount,
            averaging=own.averaging, normalisation=own.normalisation,
        )  # fmt: skip
        return own.estimate(theta, batch, indirect)
