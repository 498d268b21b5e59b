"""The perturbed follower of a finite process: pay it ε of the leader's reward, and let it answer.

A soft value is differentiable in its rewards, and its second derivatives commute, so that

    dJ/dθ = direct + d/dε|_0 G(ε),   G(ε) = E_{π_ε}[Σ_t γ^t ∇_θ r_F(s_t, a_t; θ)],

π_ε the answer to r_F + ε r_L. It is the derivative behind penalty methods (arXiv 2402.06886). The
leader needs the power to pay its follower, and one or two more answers of it; no critic.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse, Follower
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import episode_weight, sampled_return
from bilevelrl.models.tabular.exact import reward_sensitivities
from bilevelrl.models.tabular.on_policy import OnPolicy, discounted_visits
from bilevelrl.models.tabular.problem import RewardModel


@dataclass(frozen=True, eq=False)
class Visited:
    """What the leader sees of one answer.

    Attributes:
        visits: E[Σ_t γ^t 1[(s_t, a_t) = (s, a)]], or an estimate, shape (R, S, A).
        returned: the leader's mean return in it, shape (R,), NaN where nothing is sampled.
    """

    visits: Floats
    returned: Floats


class Watch(Protocol):
    """How the leader learns which states several answers visit."""

    @property
    def problem(self) -> RewardModel:
        """The bi-level problem."""

    @property
    def env_steps(self) -> int:
        """Transitions that one answer is watched for."""

    def see(self, theta: Floats, policies: list[Floats], streams: Streams) -> list[Visited]:
        """Of several policies, each (R, S, A)."""


@dataclass(frozen=True, eq=False)
class ExactWatch:
    """Implements `Watch`: means of the truth."""

    problem: RewardModel
    env_steps: int = 0

    def see(self, theta: Floats, policies: list[Floats], streams: Streams) -> list[Visited]:
        """Solve for them."""
        del streams
        any_temperature, unknown = np.ones(len(theta)), np.full(len(theta), np.nan)
        found = [
            reward_sensitivities(self.problem, theta, each, any_temperature).leader
            for each in policies
        ]
        return [Visited(visits, unknown) for visits in found]


@dataclass(frozen=True, eq=False)
class SampledWatch:
    """Implements `Watch`: a batch of every policy; they share their random numbers if `common`.

    Batches cut the last episode of each environment, as those of every estimator do.
    """

    sampling: OnPolicy
    common: bool = True

    @property
    def problem(self) -> RewardModel:
        """The bi-level problem."""
        return self.sampling.problem

    @property
    def env_steps(self) -> int:
        """Transitions of a batch."""
        return self.sampling.rollout.env_steps

    def see(self, theta: Floats, policies: list[Floats], streams: Streams) -> list[Visited]:
        """Draw them, and average over episodes."""
        own, found = self.sampling, []
        uniforms = own.rollout.draw(streams)
        for number, policy in enumerate(policies):
            if number and not self.common:
                uniforms = own.rollout.draw(streams)
            batch = own.rollout.follow(policy, uniforms)
            per_time = episode_weight(batch, own.normalisation)
            visits = discounted_visits(batch, policy.shape, own.discount, per_time)
            reward = own.problem.leader_reward(theta)
            found.append(Visited(visits, sampled_return(batch, reward, own.discount)))
        return found


@dataclass(frozen=True, eq=False)
class PerturbedAgent:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    Leader and follower discount alike. The direct part and the sampled return come from the same
    answers, at an error of the same order in ε.

    Attributes:
        watch: how the leader learns what its follower does.
        follower: answers to pay.
        epsilon: ε of each run, without unit, shape (R,). The answer stays in the linear range where
            ε |A_L| is small against β.
        two_sided: the quotient of error O(ε²), from a follower that is paid and charged.
    """

    watch: Watch
    follower: Follower
    epsilon: Floats
    two_sided: bool = True

    def start(self, streams: Streams) -> Memory:
        """What the follower remembers of either answer to pay."""
        names = ("paid", "charged") if self.two_sided else ("paid",)
        return {name: self.follower.start(len(streams.seeds), streams) for name in names}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Answers and which states they visit; updates `memory` in place.

        Raises:
            ValueError: if an ε is not positive.
        """
        problem, watch = self.watch.problem, self.watch
        reward = problem.follower_reward(theta)
        pay = self.epsilon[:, None, None] * problem.leader_reward(theta)
        answers = [self.follower.respond(reward + pay, memory["paid"], streams)]
        policies = [answers[0].policy, response.policy]
        if self.two_sided:
            answers.append(self.follower.respond(reward - pay, memory["charged"], streams))
            policies[1] = answers[1].policy
        ahead, behind = watch.see(theta, policies, streams)

        def moved(visits: Floats) -> Floats:
            return problem.pull_back_follower_reward(theta, visits)

        def answer(epsilon: Floats) -> Floats:
            return moved((ahead if (epsilon > 0.0).all() else behind).visits)

        at_zero = None if self.two_sided else moved(behind.visits)
        mean = 0.5 * (ahead.visits + behind.visits) if self.two_sided else behind.visits
        return Estimate(
            problem.pull_back_leader_reward(theta, mean),
            derivative(answer, self.epsilon, at_zero),
            0.5 * (ahead.returned + behind.returned) if self.two_sided else behind.returned,
            env_steps=2 * watch.env_steps,
            oracle_steps=sum(each.steps for each in answers),
        )
