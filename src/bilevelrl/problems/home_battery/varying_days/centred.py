"""The doubly centred BC-HG on days that vary: the covariance of A_L with what the houses buy then.

As `home_battery.covariance` with a regressed value, and with the forecast beside the charge in
what is regressed. E[A_L | m, h, c] = 0 on every day, whatever tomorrow's type, so that b may
depend on both types.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.varying_days.identification import ForecastIdentification
from bilevelrl.problems.home_battery.varying_days.planner import VaryingResponse
from bilevelrl.problems.home_battery.varying_days.rollout import TypedHouseDays, VaryingRollout
from bilevelrl.problems.home_battery.varying_days.tariffs import Tariff
from bilevelrl.problems.home_battery.varying_days.traces import (
    baseline_equations,
    covariance,
    differences,
    value_equations,
)


@dataclass(frozen=True, eq=False)
class CentredForecast:
    """Implements `core.estimator.Estimator`.

    Attributes:
        rollout: draws the batches.
        tariff: from θ to prices.
        temperature: β of each run, in $, shape (R,).
        forgetting_factor: weight of all earlier batches against the newest, in V.
        baseline_forgetting_factor: likewise, in b.
        num_terms: of the polynomials of the charge, each times six of the forecast: a second-order
            polynomial of the load and the sunshine of the day. With a first-order one V misses how
            what energy is worth depends on both, and the estimate is biased by a tenth.
        ridge: share of the mean diagonal that is added to the equations of V.
        baseline_ridge: added to the share of days at every hour, in those of b.
    """

    rollout: VaryingRollout
    tariff: Tariff
    temperature: Floats
    forgetting_factor: float = 0.7
    baseline_forgetting_factor: float = 0.9
    num_terms: int = 4
    ridge: float = 1e-6
    baseline_ridge: float = 1e-3

    @property
    def _identification(self) -> ForecastIdentification:
        return ForecastIdentification(self.rollout.problem)

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        runs, houses = len(streams.seeds), self.rollout.problem.houses.num_houses
        terms = self.num_terms * self._told().shape[1]
        size, shape = HOURS * terms, (runs, houses, HOURS, terms)
        return self._identification.start(runs) | {
            "value_matrix": np.zeros((runs, houses, size, size)),
            "value_right": np.zeros((runs, houses, size)),
            "baseline_gram": np.zeros((*shape, terms)),
            "baseline_moment": np.zeros((*shape, self.rollout.num_steps)),
        }

    def estimate(
        self, theta: Floats, response: VaryingResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Both terms from one batch; updates `memory` in place."""
        problem, prices = self.rollout.problem, self.tariff.prices(theta)
        seen = self.rollout.sample(response.policy, streams)
        features = self._features(seen)
        scale = problem.houses.day_weights / self.temperature[:, None, None, None]
        injection = np.ascontiguousarray(scale * self._advantage(seen, features, memory))
        slope = np.zeros_like(prices)
        covariance(
            seen.types, features, injection, seen.bought, self._baseline(memory),
            problem.follower_discount, slope,
        )  # fmt: skip
        for name in ("baseline_gram", "baseline_moment"):
            memory[name] *= self.baseline_forgetting_factor
        baseline_equations(
            features, seen.bought, problem.follower_discount, memory["baseline_gram"],
            memory["baseline_moment"],
        )  # fmt: skip
        return Estimate(
            self.tariff.pull_back(theta, problem.tariff_slope(prices)),
            self.tariff.pull_back(theta, slope / self.rollout.num_days),
            seen.sampled_return(problem, prices),
            env_steps=self.rollout.env_steps,
        )

    def _baseline(self, memory: Memory) -> Floats:
        # Coefficients of b, shape (R, H, 24, P, T).
        gram = memory["baseline_gram"]
        days = gram[..., :1, :1]
        damped = gram + (self.baseline_ridge * days + (days == 0.0)) * np.eye(gram.shape[-1])
        found: Floats = np.linalg.solve(damped, memory["baseline_moment"])
        return found

    def _features(self, seen: TypedHouseDays) -> Floats:
        # φ, shape (R, H, N, T + 1, P); nothing is known of the day after the last.
        share = seen.charge / (self.rollout.problem.houses.num_charges - 1.0)
        told = self._told()[seen.type_of_hour]
        nothing = np.broadcast_to(self._usual(), (*told.shape[:2], 1, told.shape[3]))
        return self._products(share, np.concatenate([told, nothing], axis=2)[:, None])

    def _told(self) -> Floats:
        # Second-order polynomial of the standardised factors of every type, shape (K, 6).
        types = self.rollout.problem.types
        x, y = ((each - 1.0) / _deviation(each, types.probability) for each in
                (types.load, types.solar))  # fmt: skip
        return np.stack([np.ones(types.number), x, y, x * y, x * x - 1.0, y * y - 1.0], axis=1)

    def _usual(self) -> Floats:
        # The mean of `_told` over what tomorrow may be, shape (F,).
        mean: Floats = (self.rollout.problem.types.probability[:, None] * self._told()).sum(axis=0)
        return mean

    def _products(self, share: Floats, told: Floats) -> Floats:
        # Legendre's polynomials of the share of the full charge, each times what the forecast told.
        x = 2.0 * share - 1.0
        power = [np.ones_like(x), x]
        for p in range(2, self.num_terms):
            power.append(((2 * p - 1) * x * power[-1] - (p - 1) * power[-2]) / p)
        terms = np.stack(power[: self.num_terms], axis=-1)
        both = terms[..., :, None] * told[..., None, :]
        features: Floats = np.ascontiguousarray(both.reshape(*both.shape[:-2], -1))
        return features

    def _advantage(self, seen: TypedHouseDays, features: Floats, memory: Memory) -> Floats:
        # A_L of every hour of first days in $, shape (R, H, N, 24). The expectation is over this
        # hour's noise, which would else enter both sides of the covariance.
        problem, own = self.rollout.problem, self._identification
        houses = problem.houses
        others = seen.energy.sum(axis=1, keepdims=True) - seen.energy
        rewards = -houses.peak_weight * seen.energy * (seen.energy + 2.0 * others)
        usual = rewards.reshape(*rewards.shape[:2], -1, HOURS).mean(axis=2)[:, :, None]
        weights = self._value(features, rewards - usual[..., seen.hour], memory)
        own.see(seen, memory)
        taken, kinds = seen.taken[..., :HOURS], seen.types[:, :, 0]
        mean, variance = own.net_of(memory, kinds)
        energy = mean + taken
        reward = -houses.peak_weight * (
            energy * (energy + 2.0 * others[..., :HOURS]) + variance
        ) - usual  # fmt: skip
        one_way = np.sqrt(own.efficiency(memory))[:, None, None, None]
        stored = np.where(taken > 0.0, taken * one_way, taken / one_way) / houses.capacity
        before = seen.charge[..., :HOURS] / (houses.num_charges - 1.0)
        told = np.repeat(self._told()[kinds][:, None, :, None], HOURS, axis=3)
        told[..., -1, :] = self._usual()
        after = self._products(np.clip(before + stored, 0.0, 1.0), told)
        advantage: Floats = np.empty(reward.shape)
        differences(features, after, reward, houses.leader_discount, weights, advantage)
        return advantage

    def _value(self, features: Floats, reward: Floats, memory: Memory) -> Floats:
        # Coefficients of V, shape (R, H, 24 P).
        matrix, right = memory["value_matrix"], memory["value_right"]
        matrix *= self.forgetting_factor
        right *= self.forgetting_factor
        value_equations(
            features, np.ascontiguousarray(reward), self.rollout.problem.leader_discount, matrix,
            right,
        )  # fmt: skip
        size = matrix.shape[-1]
        scale = np.trace(matrix, axis1=2, axis2=3)[..., None, None] / size
        damped = matrix + self.ridge * scale * np.eye(size)
        weights: Floats = np.linalg.solve(damped, right[..., None])[..., 0]
        return weights


def _deviation(factors: Floats, probability: Floats) -> float:
    # Standard deviation of factors of mean 1; 1 where nothing varies.
    found = float(np.sqrt((probability * np.square(factors - 1.0)).sum()))
    return found if found > 0.0 else 1.0
