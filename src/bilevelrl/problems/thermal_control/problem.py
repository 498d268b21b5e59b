"""Building thermal control: a leader designs a building, a follower heats and cools it.

Source: arXiv 2603.14867, configurable-MDP experiment with a continuous state; the constants are
those of the authors' config.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.linear_gaussian.checks import check_costs, check_positive, check_steps
from bilevelrl.problems.thermal_control.design import ThermalDesign

#: Axes of every field that is an array: n zones, m units.
_AXES = {
    "base_matrix": "nn",
    "input_matrix": "nm",
    "insulation_effect": "n",
    "state_cost": "nn",
    "control_cost": "mm",
}
#: The authors' configuration.
PUBLISHED: Mapping[str, object] = MappingProxyType(
    {
        "base_matrix": (
            (1.0, 0.05, 0.0, 0.05), (0.03, 1.0, 0.04, 0.0),
            (0.0, 0.04, 1.0, 0.06), (0.05, 0.0, 0.03, 1.0),
        ),
        "input_matrix": ((0.1, 0.0), (0.6, 0.0), (0.0, 0.55), (0.0, 0.3)),
        "insulation_effect": (0.04, 0.03, 0.06, 0.05),
        "state_cost": (
            (8.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0),
            (0.0, 0.0, 5.0, 0.0), (0.0, 0.0, 0.0, 6.0),
        ),
        "control_cost": ((0.01, 0.0), (0.0, 0.01)),
        "noise": 0.02,
        "state_limit": 30.0,
        "initial_deviation": 5.0,
        "max_episode_steps": 100,
        "discount": 0.9,
        "stability_weight": 1.0,
        "energy_weight": 0.5,
        "insulation_weight": 0.1,
        "airflow_weight": 0.1,
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ThermalControl:
    """n zones in a ring, m units that heat and cool, deviations s from the set point.

        s' = clip(A(α, β) s + B a) + σ z,  z ~ N(0, I)
        A_ij = A⁰_ij β_i, A_ji = A⁰_ji β_i,  A_ii = A⁰_ii + η_i (1 - α_i) - Σ_{k≠i} A_ik
        r_F = -(sᵀ Q s + aᵀ R a)
        r_L = -(k_S Var(s) + k_E |a|² + k_I |α|² + k_A |β|²)

    with j the zone after i. α is the insulation of the zones and β the airflow between each zone
    and the next; both lie in [0, 1] and θ are their logits, those of α first. Var(s) is the
    population variance over the zones. Both rewards belong to the state before the transition.
    Actions are not bounded.

    Attributes:
        base_matrix: A⁰, shape (n, n), n >= 3; only neighbours in the ring exchange heat.
        input_matrix: B, shape (n, m).
        insulation_effect: η, growth of a deviation per step without insulation, shape (n,).
        state_cost: Q, symmetric positive definite, shape (n, n).
        control_cost: R, symmetric positive definite, shape (m, m).
        noise: σ of every zone.
        state_limit: where the mean of s' is clipped, both sides.
        initial_deviation: standard deviation of every zone at the start.
        max_episode_steps: transitions after which an episode is cut; nothing else ends it.
        discount: γ of leader and follower, per step.
        stability_weight, energy_weight, insulation_weight, airflow_weight: k_S, k_E, k_I, k_A.

    Raises:
        ValueError: if a shape, a sign or a cost matrix is impossible.
    """

    base_matrix: Floats
    input_matrix: Floats
    insulation_effect: Floats
    state_cost: Floats
    control_cost: Floats
    noise: float
    state_limit: float
    initial_deviation: float
    max_episode_steps: int
    discount: float
    stability_weight: float
    energy_weight: float
    insulation_weight: float
    airflow_weight: float

    def __post_init__(self) -> None:
        if self.input_matrix.ndim != 2:
            raise ValueError(f"input_matrix must be a matrix, got {self.input_matrix.tolist()}")
        zones, units = self.input_matrix.shape
        sizes = {"n": zones, "m": units}
        for name, axes in _AXES.items():
            array, shape = getattr(self, name), tuple(sizes[axis] for axis in axes)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, of shape {shape}, got {array.tolist()}")
        if zones < 3:
            raise ValueError(f"input_matrix: a ring needs at least 3 zones, got {zones}")
        apart = (np.arange(zones)[:, None] - np.arange(zones)) % zones
        if self.base_matrix[(apart > 1) & (apart < zones - 1)].any():
            raise ValueError(
                "base_matrix: only neighbours in the ring may exchange heat, got "
                f"{self.base_matrix.tolist()}"
            )
        check_costs(self, "state_cost", "control_cost")
        check_positive(self, "noise", "state_limit", "initial_deviation")
        for name in ("stability_weight", "energy_weight", "insulation_weight", "airflow_weight"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite, not negative, got {getattr(self, name)}")
        if not 0.0 < self.discount < 1.0:
            raise ValueError(f"discount must lie in (0, 1), got {self.discount}")
        check_steps(self.max_episode_steps)

    @classmethod
    def from_numbers(cls, **numbers: Any) -> "ThermalControl":
        """Build the problem from plain numbers, one keyword a field, matrices as tuples of rows.

        Raises:
            ValueError: if a matrix or vector is ragged, or no `ThermalControl` has such numbers.
            TypeError: if a field is missing or there is no such field.
        """
        for name in [name for name in numbers if name in _AXES]:
            try:
                numbers[name] = np.array(numbers[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                got = f"rows all of one length, got {numbers[name]!r}"
                raise ValueError(f"{name} must be numbers, {got}") from error
        return cls(**numbers)

    @classmethod
    def published(cls, **changes: object) -> "ThermalControl":
        """The released configuration, changed where told; see `from_numbers`."""
        return cls.from_numbers(**{**PUBLISHED, **changes})

    @property
    def num_zones(self) -> int:
        """N."""
        return len(self.base_matrix)

    @property
    def num_parameters(self) -> int:
        """D = 2 n."""
        return 2 * self.num_zones

    @cached_property
    def design(self) -> ThermalDesign:
        """What the leader knows of what it designs."""
        here, following = self._ring
        inwards, outwards = self.base_matrix[here, following], self.base_matrix[following, here]
        return ThermalDesign(
            self.num_zones, self.insulation_weight, self.airflow_weight, self.insulation_effect,
            inwards, outwards, self.discount, self.max_episode_steps,
        )  # fmt: skip

    @property
    def _ring(self) -> tuple[Index, Index]:
        # Every zone, and the next one.
        here = np.arange(self.num_zones)
        return here, (here + 1) % self.num_zones

    def dynamics(self, theta: Floats) -> Floats:
        """A(α, β), shape (R, n, n)."""
        insulation, airflow = self.design.levels(theta)
        here, following = self._ring
        matrix = np.zeros((len(theta), self.num_zones, self.num_zones))
        matrix[:, here, following] = self.design.inwards * airflow
        matrix[:, following, here] = self.design.outwards * airflow
        kept = np.diag(self.base_matrix) + self.insulation_effect * (1.0 - insulation)
        matrix[:, here, here] = kept - matrix.sum(axis=2)
        return matrix

    def dynamics_slopes(self, theta: Floats) -> Floats:
        """∂A/∂θ, shape (R, D, n, n)."""
        zones = self.num_zones
        factors = self.design.factors(theta)
        here, following = self._ring
        slopes = np.zeros((len(theta), 2 * zones, zones, zones))
        slopes[:, here, here, here] = factors[:, 0]
        edges = slopes[:, zones:]
        edges[:, here, here, following] = factors[:, 1]
        edges[:, here, here, here] = -factors[:, 1]
        edges[:, here, following, here] = factors[:, 2]
        edges[:, here, following, following] = -factors[:, 2]
        return slopes

    def follower_reward(self, state: Floats, action: Floats) -> Floats:
        """r_F(s, a), shape (...,), from s (..., n) and a (..., m)."""
        comfort = np.einsum("...i,ij,...j", state, self.state_cost, state)
        effort = np.einsum("...i,ij,...j", action, self.control_cost, action)
        reward: Floats = -(comfort + effort)
        return reward

    def operating_reward(self, state: Floats, action: Floats) -> Floats:
        """-(k_S Var(s) + k_E |a|²), shape (...,), from s (..., n) and a (..., m)."""
        energy = np.einsum("...i,...i", action, action)
        apart = state - np.einsum("...i->...", state)[..., None] / self.num_zones
        variance = np.einsum("...i,...i", apart, apart) / self.num_zones
        reward: Floats = -(self.stability_weight * variance + self.energy_weight * energy)
        return reward
