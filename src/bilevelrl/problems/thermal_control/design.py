"""What the leader designs in building thermal control, and what that does: its own knowledge.

A leader that only watches knows this and no more: not how heat flows otherwise, not what the units
do, not what the follower wants.
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel


@dataclass(frozen=True, eq=False)
class Levers:
    """Insulation α and airflow β of n zones, whose logits θ is, and what they cost.

    Attributes:
        num_zones: n.
        insulation_weight, airflow_weight: k_I, k_A.
    """

    num_zones: int
    insulation_weight: float
    airflow_weight: float

    @property
    def num_parameters(self) -> int:
        """D = 2 n."""
        return 2 * self.num_zones

    def levels(self, theta: Floats) -> tuple[Floats, Floats]:
        """α and β, each (R, n), from θ, shape (R, D).

        Raises:
            ValueError: if θ has another shape.
        """
        zones, size = self.num_zones, self.num_parameters
        if theta.ndim != 2 or theta.shape[1] != size:
            raise ValueError(f"theta must be of shape (R, {size}), got {theta.shape}")
        level: Floats = 0.5 * (1.0 + np.tanh(0.5 * theta))
        return level[:, :zones], level[:, zones:]

    def named_levels(self, theta: Floats) -> dict[str, Floats]:
        """α of zone i as "alpha<i>" and β as "beta<i>", each (R,), in the order of θ."""
        return {
            f"{name}{zone + 1}": level[:, zone]
            for name, level in zip(("alpha", "beta"), self.levels(theta), strict=True)
            for zone in range(self.num_zones)
        }

    def configuration_cost(self, theta: Floats) -> Floats:
        """k_I |α|² + k_A |β|², charged in every step, shape (R,)."""
        insulation, airflow = self.levels(theta)
        cost: Floats = self.insulation_weight * np.square(insulation).sum(axis=1)
        cost += self.airflow_weight * np.square(airflow).sum(axis=1)
        return cost

    def configuration_cost_slope(self, theta: Floats) -> Floats:
        """Its gradient, shape (R, D)."""
        weights = (self.insulation_weight, self.airflow_weight)
        pairs = zip(weights, self.levels(theta), strict=True)
        slopes = [2.0 * weight * np.square(level) * (1.0 - level) for weight, level in pairs]
        return np.concatenate(slopes, axis=1)


@dataclass(frozen=True, eq=False)
class ThermalDesign(Levers):
    """The levers of zones in a ring, and what they do; see `thermal_control.ThermalControl`.

    Attributes:
        insulation_effect: η, shape (n,).
        inwards: A⁰_ij, what a unit of airflow β_i lets in from the zone j after i, shape (n,).
        outwards: A⁰_ji, what it lets out, shape (n,).
        discount: γ of leader and follower, per step.
        max_episode_steps: transitions after which an episode is cut.
    """

    insulation_effect: Floats
    inwards: Floats
    outwards: Floats
    discount: float
    max_episode_steps: int

    def factors(self, theta: Floats) -> Floats:
        """-η_i dα_i, A⁰_ij dβ_i and A⁰_ji dβ_i, shape (R, 3, n): all that ∂A/∂θ consists of."""
        insulation, airflow = self.levels(theta)
        kept, steepness = -self.insulation_effect * insulation, airflow * (1.0 - airflow)
        flows = self.inwards * steepness, self.outwards * steepness
        return np.stack([kept * (1.0 - insulation), *flows], axis=1)

    def pushed(self, theta: Floats, state: Floats, push: Floats) -> Floats:
        """xᵀ (∂A/∂θ) s for every transition, shape (R, N, D), for s and x = `push` (R, N, n).

        With x = (s' - E s') / σ² this is ∇_θ log p(s' | s, a; θ), with x = ∇ f(s') it is ∇_θ f(s')
        at fixed noise.
        """
        result = np.empty((*state.shape[:2], self.num_parameters))
        _pushed(self.factors(theta), state, push, result)
        return result

    def pull_back(self, theta: Floats, state: Floats, push: Floats, weights: Floats) -> Floats:
        """Σ_k w_k xᵀ (∂A/∂θ) s over transitions, shape (R, D), for weights (R, N); see `pushed`."""
        total = np.zeros((len(state), self.num_parameters))
        _pull_back(self.factors(theta), state, push, weights, total)
        return total


@parallel_kernel
def _pushed(factors, state, push, result):  # type: ignore[no-untyped-def]
    num_runs, num_steps, zones = state.shape
    for r in numba.prange(num_runs):
        for k in range(num_steps):
            for i in range(zones):
                j = (i + 1) % zones
                flow = state[r, k, j] - state[r, k, i]
                result[r, k, i] = factors[r, 0, i] * state[r, k, i] * push[r, k, i]
                inwards = factors[r, 1, i] * push[r, k, i]
                result[r, k, zones + i] = flow * (inwards - factors[r, 2, i] * push[r, k, j])


@parallel_kernel
def _pull_back(factors, state, push, weights, total):  # type: ignore[no-untyped-def]
    num_runs, num_steps, zones = state.shape
    for r in numba.prange(num_runs):
        for k in range(num_steps):
            w = weights[r, k]
            for i in range(zones):
                j = (i + 1) % zones
                flow = state[r, k, j] - state[r, k, i]
                total[r, i] += w * (factors[r, 0, i] * state[r, k, i] * push[r, k, i])
                inwards = factors[r, 1, i] * push[r, k, i]
                total[r, zones + i] += w * (flow * (inwards - factors[r, 2, i] * push[r, k, j]))
