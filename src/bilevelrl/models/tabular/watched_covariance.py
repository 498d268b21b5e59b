"""BC-HG of a leader that sets rewards and only watches (arXiv 2603.14867).

As `boltzmann_covariance.BoltzmannCovariance`, but the follower's policy is a belief, rewards are
those that were observed, and of the problem only what θ does to the rewards is known. The
follower's reward is of no use to it: ψ = ∇_θ r_F is the leader's own doing, and V_F does not occur.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import episode_weight, sampled_return
from bilevelrl.models.tabular.boltzmann_covariance import covariance_term
from bilevelrl.models.tabular.critic import Critic, policy_advantage
from bilevelrl.models.tabular.on_policy import discounted_visits
from bilevelrl.models.tabular.problem import RewardInfluence


@dataclass(frozen=True, eq=False)
class WatchedCovariance:
    """Implements `sampled.Learner`.

    Attributes:
        influence: what θ does to the rewards.
        shape: (S, A).
        critic: learns Q_L.
        temperature: β of each run, shape (R,).
        discount: γ, of leader and follower alike.
    """

    influence: RewardInfluence
    shape: tuple[int, int]
    critic: Critic
    temperature: Floats
    discount: float

    def start(self, streams: Streams) -> Memory:
        """The critic's table."""
        return {"critic": self.critic.start(self.shape, streams)}

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: BestResponse,
        batch: TabularObservations,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """Let the critic learn from a batch, and estimate both terms from it."""
        policy, reward = response.policy, mean_reward(batch, self.shape)
        self.critic.update(memory["critic"], batch, reward, policy, streams)
        advantage = policy_advantage(memory["critic"], policy)
        indirect = covariance_term(
            self.influence, theta, batch, advantage, self.temperature, self.discount
        )
        per_time = episode_weight(batch, "started_episodes")
        visits = discounted_visits(batch, reward.shape, self.discount, per_time)
        return Estimate(
            self.influence.pull_back_leader_reward(theta, visits),
            indirect,
            sampled_return(batch, reward, self.discount),
            env_steps=batch.state[0].size,
        )


def mean_reward(seen: TabularObservations, shape: tuple[int, int]) -> Floats:
    """What the leader got for (s, a) on average, 0 where it never saw them, shape (R, S, A)."""
    place = (np.arange(len(seen.state))[:, None, None], seen.state, seen.action)
    total, times = np.zeros((2, len(seen.state), *shape))
    np.add.at(total, place, seen.leader_reward)
    np.add.at(times, place, 1.0)
    mean: Floats = total / np.maximum(times, 1.0)
    return mean
