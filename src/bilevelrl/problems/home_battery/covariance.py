"""BC-HG: the Boltzmann covariance hypergradient (arXiv 2603.14867) of houses with batteries.

What θ does to a bill is the energy that was bought, which a utility's own meters tell: beside what
the houses do, their rewards tell nothing more. A house is one follower of several, independent
given θ, and so dJ/dθ is the direct term and the sum of the houses' covariances.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.planner import HouseholdResponse
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import DayRollout, HouseDays, sampled_return
from bilevelrl.problems.home_battery.traces import explained, see, traced


class Advantage(Protocol):
    """The leader's advantage of what the houses chose."""

    def start(self, streams: Streams) -> Memory:
        """Memory before the first batch."""

    def of(
        self, theta: Floats, response: HouseholdResponse, seen: HouseDays, memory: Memory,
        streams: Streams,
    ) -> Floats:  # fmt: skip
        """A_L of every hour of first days in $, (R, H, N, 24); updates `memory` in place."""


@dataclass(frozen=True, eq=False)
class HourlyBaseline:
    """b(h, c) ≈ E[Σ_{k>=t} γ_F^{k-t} ψ_k | h, c]: a polynomial of the charge for every hour.

    The doubly centred covariance, see `core.control_variate`: A_L averages to zero over the actions
    of a state, so that b changes no mean if it was fitted on earlier batches.

    Attributes:
        num_terms: of the polynomial.
        forgetting_factor: weight of all earlier batches against the newest.
        ridge: added to the share of days at every hour, in the normal equations.
    """

    num_terms: int = 3
    forgetting_factor: float = 0.9
    ridge: float = 1e-3

    def start(self, num_runs: int, num_houses: int) -> Memory:
        """Nothing seen: b = 0."""
        shape = (num_runs, num_houses, HOURS, self.num_terms)
        return {
            "baseline_gram": np.zeros((*shape, self.num_terms)),
            "baseline_moment": np.zeros((*shape, HOURS)),
        }

    def mean(self, charge: Floats, injection: Floats, memory: Memory) -> Floats:
        """Mean over N of Σ_t i_t b(h_t, c_t), summed over houses, shape (R, 24).

        For charges as shares (R, H, N, T + 1) and injections (R, H, N, 24).
        """
        gram = memory["baseline_gram"]
        days = gram[..., :1, :1]
        damped = gram + (self.ridge * days + (days == 0.0)) * np.eye(self.num_terms)
        coefficients = np.linalg.solve(damped, memory["baseline_moment"])
        total = np.zeros((len(charge), HOURS))
        explained(charge, injection, coefficients, total)
        mean: Floats = total / injection.shape[2]
        return mean

    def see(self, charge: Floats, bought: Floats, discount: float, memory: Memory) -> None:
        """Remember a batch for the next one; changes `memory` in place."""
        for name in ("baseline_gram", "baseline_moment"):
            memory[name] *= self.forgetting_factor
        see(charge, bought, discount, memory["baseline_gram"], memory["baseline_moment"])


@dataclass(frozen=True, eq=False)
class HouseholdCovariance:
    """Implements `core.estimator.Estimator`.

    Attributes:
        rollout: draws the batches.
        advantage: the leader's, of what was chosen.
        temperature: β of each run, in $, shape (R,).
        baseline: centres the houses' side too; None leaves it as published.
    """

    rollout: DayRollout
    advantage: Advantage
    temperature: Floats
    baseline: HourlyBaseline | None = None

    def start(self, streams: Streams) -> Memory:
        """Of the advantage, and of the baseline."""
        memory = self.advantage.start(streams)
        if self.baseline is not None:
            runs, houses = len(streams.seeds), self.rollout.problem.num_houses
            memory |= self.baseline.start(runs, houses)
        return memory

    def estimate(
        self, theta: Floats, response: HouseholdResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Both terms from one batch; updates `memory` in place."""
        problem = self.rollout.problem
        seen = self.rollout.sample(response.policy, streams)
        advantage = self.advantage.of(theta, response, seen, memory, streams)
        scale = problem.day_weights / self.temperature[:, None, None, None]
        injection = np.ascontiguousarray(scale * advantage)
        indirect = traced(injection, seen.bought, problem.follower_discount)
        if self.baseline is not None:
            charge = seen.charge / (problem.num_charges - 1.0)
            indirect = indirect - self.baseline.mean(charge, injection, memory)
            self.baseline.see(charge, seen.bought, problem.follower_discount, memory)
        return Estimate(
            problem.tariff_slope(theta),
            indirect,
            sampled_return(problem, theta, seen),
            env_steps=self.rollout.env_steps,
        )


@dataclass(frozen=True, eq=False)
class DirectOnly:
    """Naive-PGD: the direct term alone, as if the houses did not react.

    It is zero at a tariff that is flat at the target, and without λ everywhere: there the leader
    never moves.

    Attributes:
        rollout: draws the batches, of which only the return is used.
    """

    rollout: DayRollout

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: HouseholdResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The direct term, which θ alone decides."""
        del memory
        problem = self.rollout.problem
        seen = self.rollout.sample(response.policy, streams)
        return Estimate(
            problem.tariff_slope(theta),
            np.zeros_like(theta),
            sampled_return(problem, theta, seen),
            env_steps=self.rollout.env_steps,
        )
