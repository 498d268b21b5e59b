"""The perturbed follower: pay the houses ε of the leader's reward, and let them answer.

A soft value is differentiable in its rewards, and its second derivatives commute: where γ_L = γ_F,

    dJ/dθ = direct + d/dε|_0 G(ε),   G(ε) = (1 - γ^24) E_{π_ε}[Σ_t γ^t ∇_θ r_F(t; θ)],

π_ε the answer to r_F + ε r_L. It is the derivative behind penalty methods (arXiv 2402.06886). The
houses share r_L: a house is paid for -κ (e² + 2 e M), M the mean energy of the others without pay.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import leader_rewards, mean_day
from bilevelrl.problems.home_battery.planner import Household, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import DayRollout, HouseDays, sampled_return


@dataclass(frozen=True, eq=False)
class Observed:
    """What the leader learns of each of several answers.

    Attributes:
        bought: Σ over houses of E[max(e, 0)] by hour, kWh, each (R, 24).
        days: sampled days of each answer; None where the means are known.
        env_steps: transitions of all of them.
    """

    bought: list[Floats]
    days: list[HouseDays] | None = None
    env_steps: int = 0


class Meter(Protocol):
    """How the leader learns how much its houses buy."""

    @property
    def problem(self) -> HomeBattery:
        """The houses."""

    def read(self, policies: list[Floats], streams: Streams) -> Observed:
        """Of several policies, each (R, H, 24, C, A)."""


@dataclass(frozen=True, eq=False)
class ExactMeter:
    """Implements `Meter`: means of the truth."""

    problem: HomeBattery

    def read(self, policies: list[Floats], streams: Streams | None = None) -> Observed:
        """Solve for them."""
        del streams
        return Observed([mean_day(self.problem, each).bought.sum(axis=1) for each in policies])


@dataclass(frozen=True, eq=False)
class SampledMeter:
    """Implements `Meter`: means of days, which share their random numbers if `common`."""

    rollout: DayRollout
    common: bool = True

    @property
    def problem(self) -> HomeBattery:
        """The houses."""
        return self.rollout.problem

    def read(self, policies: list[Floats], streams: Streams) -> Observed:
        """Draw days of every policy, and take means of first days."""
        rollout = self.rollout
        uniforms = rollout.draw(streams)
        days = []
        for number, policy in enumerate(policies):
            if number and not self.common:
                uniforms = rollout.draw(streams)
            days.append(rollout.live(policy, uniforms))
        bought = [each.bought[..., :HOURS].sum(axis=(1, 2)) / rollout.num_days for each in days]
        return Observed(bought, days, len(days) * rollout.env_steps)


@dataclass(frozen=True, eq=False)
class PerturbedHousehold:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    Attributes:
        meter: how the leader learns what was bought.
        follower: answers to pay, beside the answer without.
        epsilon: ε of each run, shape (R,).
        two_sided: the quotient of error O(ε²), from houses that are paid and charged.

    Raises:
        ValueError: if γ_L and γ_F differ.
    """

    meter: Meter
    follower: Household
    epsilon: Floats
    two_sided: bool = True

    def __post_init__(self) -> None:
        problem = self.meter.problem
        if problem.leader_discount != problem.follower_discount:
            raise ValueError(
                f"leader_discount = {problem.leader_discount} and follower_discount = "
                f"{problem.follower_discount} must be equal: a perturbed follower counts as it does"
            )

    def start(self, streams: Streams) -> Memory:
        """What the houses remember of either answer to pay."""
        names = ("paid", "charged") if self.two_sided else ("paid",)
        return {name: self.follower.start(len(streams.seeds), streams) for name in names}

    def estimate(
        self, theta: Floats, response: HouseholdResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Two answers and what is bought under them; updates `memory` in place.

        Raises:
            ValueError: if an ε is not positive.
        """
        problem = self.meter.problem
        share = self.epsilon[:, None, None, None, None]
        pay = share * leader_rewards(problem, mean_day(problem, response.policy).others)
        reward = problem.follower_reward(theta)
        answers = [self.follower.respond(reward + pay, memory["paid"], streams)]
        if self.two_sided:
            answers.append(self.follower.respond(reward - pay, memory["charged"], streams))
        policies = [each.policy for each in answers]
        seen = self.meter.read(policies + [response.policy] * (not self.two_sided), streams)
        ahead, behind = (-problem.day_weights * each for each in seen.bought)

        def bought_for(epsilon: Floats) -> Floats:
            return ahead if (epsilon > 0.0).all() else behind

        at_zero = None if self.two_sided else behind
        sampled = np.full(len(theta), np.nan)
        if seen.days is not None and not self.two_sided:
            sampled = sampled_return(problem, theta, seen.days[1])
        return Estimate(
            problem.tariff_slope(theta),
            derivative(bought_for, self.epsilon, at_zero),
            sampled,
            env_steps=seen.env_steps,
            oracle_steps=sum(each.steps for each in answers),
        )
