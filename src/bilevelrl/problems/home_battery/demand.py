"""What houses need of the grid or of their battery, hour by hour."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.profiles import HOURS, Profiles

#: kW of every roof.
SOLAR_POWER = 4.0


@dataclass(frozen=True, eq=False)
class Demand:
    """Load less solar energy of H houses: one of K outcomes, drawn anew in every hour.

    Attributes:
        net: kWh, below 0 where the sun yields more than is used, shape (H, 24, K).
        probability: of the outcomes, shape (K,).

    Raises:
        ValueError: if a shape is another, or something is not finite or no probability.
    """

    net: Floats
    probability: Floats

    def __post_init__(self) -> None:
        shape = (len(self.net), HOURS, len(self.probability))
        if self.net.shape != shape or not self.net.size or not np.isfinite(self.net).all():
            raise ValueError(
                f"net must be finite, of shape (houses, 24, {shape[2]}), got {self.net.shape}"
            )
        if not ((self.probability >= 0.0) & (self.probability <= 1.0)).all() or not np.isclose(
            self.probability.sum(), 1.0
        ):
            raise ValueError(f"probability must sum to 1, got {self.probability.tolist()}")

    @cached_property
    def mean(self) -> Floats:
        """kWh, shape (H, 24)."""
        mean: Floats = (self.net * self.probability).sum(axis=2)
        return mean

    @cached_property
    def variance(self) -> Floats:
        """kWh², shape (H, 24)."""
        squares = np.square(self.net - self.mean[..., None])
        variance: Floats = (squares * self.probability).sum(axis=2)
        return variance


def noise_values(noise: float) -> tuple[Floats, Floats]:
    """Values of a factor of mean 1, and their probabilities, both of shape (1,) or (3,).

    Three values have the first five moments of a normal of that standard deviation.

    Raises:
        ValueError: if a value would be negative.
    """
    if not 0.0 <= noise <= 1.0 / np.sqrt(3.0):
        raise ValueError(f"noise must lie in [0, 1/√3], or a load could be negative; got {noise}")
    if noise == 0.0:
        return np.ones(1), np.ones(1)
    step = np.sqrt(3.0) * noise
    return np.array([1.0 - step, 1.0, 1.0 + step]), np.array([1.0, 4.0, 1.0]) / 6.0


def demand_of(profiles: Profiles, noise: float, solar_power: float = SOLAR_POWER) -> Demand:
    """Load times a factor, less solar energy times another, each drawn for itself.

    Args:
        profiles: of the houses.
        noise: standard deviation of both factors.
        solar_power: kW of every roof.

    Raises:
        ValueError: if a number is impossible.
    """
    if not 0.0 <= solar_power < np.inf:
        raise ValueError(f"solar_power must be finite, not negative, got {solar_power}")
    values, probability = noise_values(noise)
    used = profiles.load[..., None] * values
    made = solar_power * profiles.solar[..., None] * values
    net = (used[..., :, None] - made[..., None, :]).reshape(*used.shape[:2], -1)
    return Demand(net, np.outer(probability, probability).reshape(-1))
