"""What follower and ground truth have to know of a building, be it the true or a believed one."""

from typing import Protocol

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.thermal_control.design import Levers


class Building(Protocol):
    """A building with what its follower and its leader are paid for.

    See `thermal_control.ThermalControl`, one of them, which has the meaning of each name.
    """

    @property
    def input_matrix(self) -> Floats:
        """B, shape (n, m)."""

    @property
    def state_cost(self) -> Floats:
        """Q, shape (n, n)."""

    @property
    def control_cost(self) -> Floats:
        """R, shape (m, m)."""

    @property
    def noise(self) -> float:
        """σ."""

    @property
    def initial_deviation(self) -> float:
        """Standard deviation of every zone at the start."""

    @property
    def max_episode_steps(self) -> int:
        """T."""

    @property
    def discount(self) -> float:
        """γ."""

    @property
    def stability_weight(self) -> float:
        """k_S."""

    @property
    def energy_weight(self) -> float:
        """k_E."""

    @property
    def design(self) -> Levers:
        """α and β, and what they cost."""

    def dynamics(self, theta: Floats) -> Floats:
        """A, shape (R, n, n), under θ, shape (R, D)."""

    def dynamics_slopes(self, theta: Floats) -> Floats:
        """∂A/∂θ, shape (R, D, n, n)."""
