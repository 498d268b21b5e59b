"""The leader's advantage from a value that is regressed on the charge, hour by hour."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.identification import HouseholdIdentification
from bilevelrl.problems.home_battery.planner import HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import HouseDays
from bilevelrl.problems.home_battery.traces import powers_of


@dataclass(frozen=True, eq=False)
class RegressedAdvantage:
    """A_L ≈ E[r_L + γ_L V(h + 1, c') | h, c, a] - V(h, c), V a polynomial of c for every hour.

    No policy is asked for, and no table of actions. V is found by least squares (LSTD, Bradtke and
    Barto 1996) on all batches, with exponential forgetting. The expectation is over this hour's
    noise, by the regressions of `identification`: with a plain temporal difference in its place,
    noise of e would enter both A_L and ∇_θ r_F, and their product be biased.

    Rewards count from their mean in the hour, so that values stay small where γ_L = 1.

    Attributes:
        problem: the houses.
        num_terms: of each polynomial.
        forgetting_factor: weight of all earlier batches against the newest, in V.
        ridge: share of the mean diagonal that is added to the equations.
    """

    problem: HomeBattery
    num_terms: int = 4
    forgetting_factor: float = 0.7
    ridge: float = 1e-6

    @property
    def _identification(self) -> HouseholdIdentification:
        return HouseholdIdentification(self.problem)

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        size = HOURS * self.num_terms
        shape = (len(streams.seeds), self.problem.num_houses, size)
        known = self._identification.start(len(streams.seeds))
        values = {"value_matrix": np.zeros((*shape, size)), "value_right": np.zeros(shape)}
        return known | values

    def of(
        self, theta: Floats, response: HouseholdResponse, seen: HouseDays, memory: Memory,
        streams: Streams,
    ) -> Floats:  # fmt: skip
        """Regress V and the noise, and take expectations; updates `memory` in place."""
        del theta, response, streams
        problem = self.problem
        charge = seen.charge / (problem.num_charges - 1.0)
        rewards = seen.house_rewards(problem)
        usual = _hourly_mean(rewards)
        weights = self._value(charge, rewards - usual[:, :, None, seen.hour], memory)
        own = self._identification
        own.see(seen, memory)
        first = seen.taken[..., :HOURS]
        mean, variance = (each[:, :, None] for each in own.net(memory))
        energy = mean + first
        others = seen.others[:, :, None]
        reward = -problem.peak_weight * (energy * (energy + 2.0 * others) + variance)
        reward -= usual[:, :, None]
        one_way = np.sqrt(own.efficiency(memory))[:, None, None, None]
        stored = np.where(first > 0.0, first * one_way, first / one_way) / problem.capacity
        after = np.clip(charge[..., :HOURS] + stored, 0.0, 1.0)
        advantage = np.empty_like(reward)
        _differences(
            charge, after, reward, problem.leader_discount, self.num_terms, weights, advantage
        )
        return advantage

    def _value(self, charge: Floats, reward: Floats, memory: Memory) -> Floats:
        # Coefficients of V, shape (R, H, 24 · terms).
        matrix, right = memory["value_matrix"], memory["value_right"]
        matrix *= self.forgetting_factor
        right *= self.forgetting_factor
        _equations(charge, reward, self.problem.leader_discount, self.num_terms, matrix, right)
        size = matrix.shape[-1]
        scale = np.trace(matrix, axis1=2, axis2=3)[..., None, None] / size
        damped = matrix + self.ridge * scale * np.eye(size)
        weights: Floats = np.linalg.solve(damped, right[..., None])[..., 0]
        return weights


def _hourly_mean(reward: Floats) -> Floats:
    # Shape (R, H, 24), from (R, H, N, T).
    by_hour = reward.reshape(*reward.shape[:2], -1, HOURS)
    mean: Floats = by_hour.sum(axis=2) / by_hour.shape[2]
    return mean


@parallel_kernel
def _equations(charge, reward, discount, num_terms, matrix, right):  # type: ignore[no-untyped-def]
    num_runs, num_houses, num_days, num_steps = reward.shape
    for r in numba.prange(num_runs):
        here, there = np.empty(num_terms), np.empty(num_terms)
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    first, second = t % HOURS * num_terms, (t + 1) % HOURS * num_terms
                    powers_of(charge[r, i, d, t], here)
                    powers_of(charge[r, i, d, t + 1], there)
                    for p in range(num_terms):
                        right[r, i, first + p] += here[p] * reward[r, i, d, t]
                        for q in range(num_terms):
                            matrix[r, i, first + p, first + q] += here[p] * here[q]
                            matrix[r, i, first + p, second + q] -= discount * here[p] * there[q]


@parallel_kernel
def _differences(charge, after, reward, discount, num_terms, weights, advantage):  # type: ignore[no-untyped-def]
    num_runs, num_houses, num_days, num_steps = advantage.shape
    for r in numba.prange(num_runs):
        power = np.empty(num_terms)
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    total = reward[r, i, d, t]
                    powers_of(charge[r, i, d, t], power)
                    for p in range(num_terms):
                        total -= power[p] * weights[r, i, t * num_terms + p]
                    powers_of(after[r, i, d, t], power)
                    for p in range(num_terms):
                        following = (t + 1) % HOURS * num_terms + p
                        total += discount * power[p] * weights[r, i, following]
                    advantage[r, i, d, t] = total
