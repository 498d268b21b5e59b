"""Home battery on days that vary: a type of day is drawn every midnight, and prices may follow it.

The leader publishes the prices of a day when it knows the day's type, its forecast; houses know
them and the type, and that of tomorrow only as far as it is drawn.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.demand import SOLAR_POWER, Demand, demand_of
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS, Profiles
from bilevelrl.problems.home_battery.varying_days.day_types import DayTypes


@dataclass(frozen=True, eq=False)
class VaryingDays:
    """H houses on days of K types, with 24 prices p_m of every type m.

    A house's state is (type, hour, charge). Types are drawn at midnight, independently of all that
    was; one type is that of all houses on the day that J is the mean of. A house's battery was
    empty n midnights ago, n geometric, and n and the days since are its own, so that

        J = -κ Σ_m q_m Σ_h γ_L^h E[(Σ_houses e)² | m] - λ Σ_m q_m Σ_h γ_L^h (p_mh - target)²

    with houses that are independent given m, as they are in `HomeBattery` given nothing.

    Attributes:
        houses: the battery, and the demand of a day whose factors are 1.
        types: of days.
        demands: load less solar energy on days of each type, K of them.
        forecast: mean load and mean solar energy of a house, kWh, shape (K, 24, 2).

    Raises:
        ValueError: if there are not as many demands or forecasts as types, or shapes differ.
    """

    houses: HomeBattery
    types: DayTypes
    demands: tuple[Demand, ...]
    forecast: Floats

    def __post_init__(self) -> None:
        if len(self.demands) != self.types.number:
            raise ValueError(f"demands: {self.types.number} are needed, got {len(self.demands)}")
        if self.forecast.shape != (self.types.number, HOURS, 2):
            raise ValueError(f"forecast: one a type is needed, got shape {self.forecast.shape}")
        shapes = {each.net.shape for each in self.demands}
        if len(shapes) > 1 or self.demands[0].net.shape[0] != self.houses.num_houses:
            raise ValueError(f"demands must be those of the same houses, got shapes {shapes}")

    @property
    def leader_discount(self) -> float:
        """γ_L per hour."""
        return self.houses.leader_discount

    @property
    def follower_discount(self) -> float:
        """γ_F per hour."""
        return self.houses.follower_discount

    @cached_property
    def bought(self) -> Floats:
        """E[max(e, 0)] in kWh of type, hour, charge and action, shape (H, K, 24, C, A)."""
        each = [replace(self.houses, demand=demand).bought for demand in self.demands]
        return np.stack(each, axis=1)

    @cached_property
    def net(self) -> Floats:
        """Mean load less solar energy, kWh, shape (H, K, 24)."""
        return np.stack([demand.mean for demand in self.demands], axis=1)

    @cached_property
    def variance(self) -> Floats:
        """Of load less solar energy in an hour of a known type, kWh², shape (H, K, 24)."""
        return np.stack([demand.variance for demand in self.demands], axis=1)

    @cached_property
    def outcomes(self) -> Floats:
        """Load less solar energy, kWh, shape (H, K, 24, outcomes)."""
        return np.stack([demand.net for demand in self.demands], axis=1)

    def follower_reward(self, prices: Floats) -> Floats:
        """E[r_F] in $, shape (R, H, K, 24, C, A), under prices (R, K, 24)."""
        reward: Floats = -prices[:, None, :, :, None, None] * self.bought
        return reward

    @property
    def price_weights(self) -> Floats:
        """q_m γ_L^h, shape (K, 24)."""
        weights: Floats = self.types.probability[:, None] * self.houses.day_weights
        return weights

    def tariff_cost(self, prices: Floats) -> Floats:
        """Mean of λ Σ_h γ_L^h (p_mh - target)² over types, in $, shape (R,)."""
        squares = np.square(prices - self.houses.target) * self.price_weights
        cost: Floats = self.houses.tariff_weight * squares.sum(axis=(1, 2))
        return cost

    def tariff_slope(self, prices: Floats) -> Floats:
        """The direct term of dJ/dp, shape (R, K, 24)."""
        away = (prices - self.houses.target) * self.price_weights
        slope: Floats = -2.0 * self.houses.tariff_weight * away
        return slope


def varying_days(
    profiles: Profiles,
    types: DayTypes,
    *,
    noise: float = 0.0,
    solar_power: float = SOLAR_POWER,
    **changes: object,
) -> VaryingDays:
    """Houses whose days have a common factor of all loads and one of the sunshine.

    Args:
        profiles: the mean days.
        types: factors, and how likely they are.
        noise: standard deviation of the factors of a single hour and house, see `demand_of`.
        solar_power: kW of every roof.
        changes: fields of `HomeBattery`.

    Raises:
        ValueError: if a number is impossible.
        TypeError: if there is no such field.
    """
    mean = demand_of(profiles, noise, solar_power)
    houses = HomeBattery(mean, **changes)  # type: ignore[arg-type]
    return on_types(houses, profiles, types, noise, solar_power)


def on_types(
    houses: HomeBattery, profiles: Profiles, types: DayTypes, noise: float, solar_power: float
) -> VaryingDays:
    """Batteries like those of `houses` on such days; the arguments are those of `varying_days`.

    Raises:
        ValueError: if a number is impossible.
    """
    each = [
        Profiles(load * profiles.load, solar * profiles.solar)
        for load, solar in zip(types.load, types.solar, strict=True)
    ]
    demands = tuple(demand_of(day, noise, solar_power) for day in each)
    mean = [(day.load.mean(axis=0), solar_power * day.solar.mean(axis=0)) for day in each]
    alike = replace(houses, demand=demand_of(profiles, noise, solar_power))
    return VaryingDays(alike, types, demands, np.moveaxis(np.array(mean), 1, 2))
