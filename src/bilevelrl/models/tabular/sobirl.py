"""SoBiRL: undiscounted, action-wise centred follower term (as compared in arXiv 2603.14867).

    indirect = (1/β) E[Q_L(s_0, a_0) Σ_k (∇_θ r_F(s_k, a_k) - E_{a~π}[∇_θ r_F(s_k, a)])]

Where the follower's reward does not depend on the action, as in FourRooms, the bracket is zero and
SoBiRL is Naive-PGD: a property of the problem, not an error.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import episode_weight, traced_weights
from bilevelrl.models.tabular.monte_carlo import monte_carlo
from bilevelrl.models.tabular.on_policy import OnPolicy


@dataclass(frozen=True, eq=False)
class SoBiRL:
    """SoBiRL with Monte-Carlo Q_L.

    Attributes:
        sampling: problem, batches and how the direct term is averaged over them; its γ is that of
            the leader's return, the follower's sum is undiscounted.
        temperature: β of each run, shape (R,).
    """

    sampling: OnPolicy
    temperature: Floats

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate both terms from one batch."""
        del memory
        policy, problem = response.policy, self.sampling.problem
        batch = self.sampling.rollout.sample(policy, streams)
        reward = problem.leader_reward(theta)
        first_step = (np.arange(batch.state.shape[2]) == 0).astype(np.float64)
        started = episode_weight(batch, "started_episodes")
        paired = traced_weights(
            batch,
            monte_carlo(batch, reward, self.sampling.discount).action_value,
            1.0,
            by_time=first_step,
            visit_weight=np.repeat(started[:, :1], started.shape[1], axis=1),
        )
        centred = paired - policy * paired.sum(axis=2, keepdims=True)
        indirect = problem.pull_back_follower_reward(theta, centred)
        return self.sampling.estimate(theta, batch, indirect / self.temperature[:, None])
