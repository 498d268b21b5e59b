"""Home battery: a utility sets 24 prices, and houses store energy to save on their bills.

Houses and batteries are those of the CityLearn 2022 challenge; see data/README.md.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.demand import SOLAR_POWER, Demand, demand_of
from bilevelrl.problems.home_battery.grid import Grid, grid_of
from bilevelrl.problems.home_battery.profiles import HOURS, mean_days

#: The flat tariff from which leaders start, $/kWh.
FLAT = 0.30
Infeasible = Literal["refused", "cut"]


@dataclass(frozen=True, eq=False)
class HomeBattery:
    """H houses with a battery each, and one tariff θ of 24 prices for all of them.

        c' = c + η max(a, 0) - max(-a, 0) / η,  0 <= c' <= capacity,  η² = efficiency
        e  = ℓ_h + a
        r_F = -θ_h max(e, 0)
        r_L = -κ (Σ_houses e)² - λ (θ_h - target)²

    with the charge c in kWh, load less solar energy ℓ, the action a in kWh of one hour on the
    grid's side, and the energy e from the grid; energy that is fed in is paid nothing. A house
    knows hour and charge, and acts before it sees ℓ of this hour, which is drawn anew every time.

    Charges are the nodes of a grid. A charge between two nodes is rounded to one of them at random,
    so that its mean is kept; the value of a charge is then interpolated linearly. Truth and samples
    live on this same grid, and two grids tell how far it is from the battery itself.

    A house's battery was empty n midnights ago, n geometric: J is the mean of a day,

        J(θ) = (1 - γ_L^24) E[Σ_t γ_L^t r_L(t)]  = E[Σ_{h<24} γ_L^h r_L(h)],

    the left one from an empty battery, the right one from the midnight to which n leads. Each house
    has an n of its own. For γ_L = 1 it is a day of the stationary state.

    Attributes:
        demand: load less solar energy, ℓ.
        capacity: kWh of a battery.
        power: largest |a|, kWh in an hour.
        efficiency: what comes back of energy that was stored.
        peak_weight: κ, $ per kWh².
        tariff_weight: λ, $ per ($/kWh)², in every hour.
        target: price that λ pulls to, $/kWh.
        leader_discount: γ_L per hour.
        follower_discount: γ_F per hour.
        num_charges: nodes of the grid of charges.
        num_actions: actions from -power to power; an odd number, so that doing nothing is one.
        infeasible: actions beyond what the battery holds are "refused", or "cut" to what it holds.
            The entropy of a soft-optimal policy counts the actions that remain.

    Raises:
        ValueError: if a number is impossible.
    """

    demand: Demand
    capacity: float = 6.4
    power: float = 5.0
    efficiency: float = 0.9
    peak_weight: float = 0.05
    tariff_weight: float = 0.5
    target: float = FLAT
    leader_discount: float = 0.99
    follower_discount: float = 0.99
    num_charges: int = 33
    num_actions: int = 41
    infeasible: Infeasible = "refused"

    def __post_init__(self) -> None:
        for name in ("capacity", "power"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("peak_weight", "tariff_weight"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite, not negative, got {getattr(self, name)}")
        if not 0.0 < self.efficiency <= 1.0:
            raise ValueError(f"efficiency must lie in (0, 1], got {self.efficiency}")
        if not 0.0 <= self.target <= 1.0:
            raise ValueError(f"target must lie in [0, 1] $/kWh, got {self.target}")
        if not 0.0 < self.leader_discount <= 1.0:
            raise ValueError(f"leader_discount must lie in (0, 1], got {self.leader_discount}")
        if not 0.0 <= self.follower_discount < 1.0:
            raise ValueError(f"follower_discount must lie in [0, 1), got {self.follower_discount}")
        if self.num_charges < 2:
            raise ValueError(f"num_charges must be at least 2, got {self.num_charges}")
        if self.num_actions < 3 or self.num_actions % 2 == 0:
            raise ValueError(f"num_actions must be odd, at least 3, got {self.num_actions}")
        if self.infeasible not in ("refused", "cut"):
            raise ValueError(f"infeasible must be 'refused' or 'cut', got {self.infeasible!r}")

    @classmethod
    def of_houses(
        cls,
        num_houses: int,
        *,
        noise: float = 0.0,
        solar_power: float = SOLAR_POWER,
        **changes: object,
    ) -> "HomeBattery":
        """The mean days of the first 1 to 17 houses, fields changed where told; see `demand_of`.

        Raises:
            ValueError: as the class and `demand_of`, or if there are not so many houses.
            TypeError: if there is no such field.
        """
        demand = demand_of(mean_days(num_houses), noise, solar_power)
        return cls(demand, **changes)  # type: ignore[arg-type]

    @property
    def num_houses(self) -> int:
        """H."""
        return len(self.demand.net)

    @property
    def num_parameters(self) -> int:
        """D = 24."""
        return HOURS

    @cached_property
    def grid(self) -> Grid:
        """The game on the nodes."""
        return grid_of(
            self.capacity, self.power, self.efficiency, self.num_charges, self.num_actions,
            refuse=self.infeasible == "refused",
        )  # fmt: skip

    @cached_property
    def bought(self) -> Floats:
        """E[max(e, 0)] of hour, charge and action, kWh, shape (H, 24, C, A); ∂r_F/∂θ_h is minus it.

        Zero where the action is refused.
        """
        net = self.demand.net
        total = np.zeros((*net.shape[:2], *self.grid.energy.shape))
        for k, weight in enumerate(self.demand.probability):
            total += weight * np.maximum(net[:, :, k, None, None] + self.grid.energy, 0.0)
        return total * self.grid.allowed

    def follower_reward(self, theta: Floats) -> Floats:
        """E[r_F] of hour, charge and action, in $, shape (R, H, 24, C, A)."""
        reward: Floats = -theta[:, None, :, None, None] * self.bought
        return reward

    def tariff_cost(self, theta: Floats) -> Floats:
        """λ Σ_h γ_L^h (θ_h - target)², shape (R,)."""
        squares = np.square(theta - self.target) * self.day_weights
        cost: Floats = self.tariff_weight * squares.sum(axis=1)
        return cost

    def tariff_slope(self, theta: Floats) -> Floats:
        """The direct term of dJ/dθ, shape (R, 24)."""
        slope: Floats = -2.0 * self.tariff_weight * (theta - self.target) * self.day_weights
        return slope

    @cached_property
    def day_weights(self) -> Floats:
        """γ_L^h, shape (24,)."""
        weights: Floats = self.leader_discount ** np.arange(HOURS, dtype=np.float64)
        return weights
