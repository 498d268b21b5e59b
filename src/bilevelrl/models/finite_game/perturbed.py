"""The perturbed follower of a finite game: pay it ε of the leader's rewards, and let it answer.

What the paid follower expects, W(θ, ε), has ∂W/∂ε = J at ε = 0, and its second derivatives commute:

    dJ/dθ = d/dε|_0 G(ε),   G(ε) = ∂W/∂θ = E_{π_ε}[Σ_t γ_F^t V_t(s_t, a_t) ∇log f_θ(a_t|s_t)],

V_t the soft value of the paid follower. The leader's own part comes with it: the payments in V_t
are its rewards. It is the derivative behind penalty methods (arXiv 2402.06886).
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.paid_follower import (
    PaidAnswer,
    exact_weights,
    paid_answer,
    sampled_weights,
)
from bilevelrl.models.finite_game.policies import CategoricalPolicy


@dataclass(frozen=True, eq=False)
class PerturbedFollower:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    All of it is in `indirect`: the quotient cannot be split. The sampled return is off by O(ε²).

    Attributes:
        game: what is played.
        policy: f_θ(a|s).
        temperature: β of each run, shape (R,).
        epsilon: ε of each run, without unit, shape (R,).
        num_episodes: that each answer is watched for; None takes the exact means.
        two_sided: the quotient of error O(ε²), from a follower that is paid and charged.
        common: whether the answers share their random numbers.
    """

    game: MarkovGame
    policy: CategoricalPolicy
    temperature: Floats
    epsilon: Floats
    num_episodes: int | None = None
    two_sided: bool = True
    common: bool = True

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Two answers, and which states they visit; `response` is the best one without pay.

        Raises:
            ValueError: if an ε is not positive.
        """
        del memory
        game, leader = self.game, self.policy.probabilities(theta)
        other = -self.epsilon if self.two_sided else np.zeros_like(self.epsilon)
        paid = [
            paid_answer(game, leader, self.temperature, each, response.value)
            for each in (self.epsilon, other)
        ]
        weights, returned = self._seen(leader, paid, response, streams)
        ahead, behind = (self.policy.pull_back(theta, each) for each in weights)

        def moved(epsilon: Floats) -> Floats:
            return ahead if (epsilon > 0.0).all() else behind

        indirect = derivative(moved, self.epsilon, None if self.two_sided else behind)
        steps = 2 * game.max_episode_steps * (self.num_episodes or 0)
        sampled = returned[1] if not self.two_sided else 0.5 * (returned[0] + returned[1])
        return Estimate(np.zeros_like(theta), indirect, sampled, env_steps=steps)

    def _seen(
        self, leader: Floats, paid: list[PaidAnswer], response: BestResponse, streams: Streams
    ) -> tuple[list[Floats], list[Floats]]:
        # Weights of ∇log f for every answer, each (R, S, A), and returns, NaN of exact means.
        if self.num_episodes is None:
            policy, value = response.policy, response.value
            unknown = np.full(len(leader), np.nan)
            found = [exact_weights(self.game, leader, each, policy, value) for each in paid]
            return found, [unknown, unknown]
        weights, returned = [], []
        shape = (self.num_episodes, self.game.max_episode_steps, 4)
        uniforms = streams.uniforms("rollout", shape)
        for number, each in enumerate(paid):
            if number and not self.common:
                uniforms = streams.uniforms("rollout", shape)
            weight, mean = sampled_weights(self.game, leader, each, uniforms)
            weights.append(weight)
            returned.append(mean)
        return weights, returned
