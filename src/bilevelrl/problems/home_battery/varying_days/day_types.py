"""What a day is like: a factor of all loads and one of the sunshine, drawn anew every midnight."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.demand import noise_values


@dataclass(frozen=True, eq=False)
class DayTypes:
    """K types of days, independent from day to day.

    Attributes:
        load: factor of the mean load of every hour and house, shape (K,).
        solar: factor of the mean solar energy, shape (K,).
        probability: of a type, shape (K,).

    Raises:
        ValueError: if shapes differ, a factor is negative, or probabilities do not sum to 1.
    """

    load: Floats
    solar: Floats
    probability: Floats

    def __post_init__(self) -> None:
        shape = (len(self.probability),)
        for name in ("load", "solar"):
            factors = getattr(self, name)
            if factors.shape != shape or not ((factors >= 0.0) & (factors < np.inf)).all():
                raise ValueError(f"{name} must be {shape[0]} factors from 0 on, got {factors}")
        if not (self.probability > 0.0).all() or not np.isclose(self.probability.sum(), 1.0):
            raise ValueError(f"probability must be positive and sum to 1, got {self.probability}")

    @property
    def number(self) -> int:
        """K."""
        return len(self.probability)


def day_types(spread: float) -> DayTypes:
    """Nine types: three values of either factor, with the first five moments of a normal.

    The factors are independent, with mean 1 and standard deviation `spread`; without any there is
    one type.

    Raises:
        ValueError: if a factor would be negative.
    """
    values, probability = noise_values(spread)
    load, solar = np.meshgrid(values, values, indexing="ij")
    weights = np.outer(probability, probability)
    return DayTypes(load.reshape(-1), solar.reshape(-1), weights.reshape(-1))
