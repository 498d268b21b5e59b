"""What sets the prices of a day: 24 numbers, or a network that reads the forecast.

A tariff maps θ to prices of every type of day, and takes a gradient in prices back to θ.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.mlp import Mlp
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.problem import FLAT
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays


class Tariff(Protocol):
    """Prices of every type of day as a function of θ."""

    @property
    def num_parameters(self) -> int:
        """D."""

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """First θ, shape (R, D), at which every price is the flat one."""

    def prices(self, theta: Floats) -> Floats:
        """$/kWh, shape (R, K, 24)."""

    def pull_back(self, theta: Floats, slope: Floats) -> Floats:
        """dJ/dθ, shape (R, D), from dJ/dp, shape (R, K, 24)."""


@dataclass(frozen=True, eq=False)
class SamePrices:
    """Implements `Tariff`: θ are 24 prices, those of all days.

    Attributes:
        num_types: K.
    """

    num_types: int

    @property
    def num_parameters(self) -> int:
        """D = 24."""
        return HOURS

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """The flat tariff."""
        del streams
        return np.full((num_runs, HOURS), FLAT)

    def prices(self, theta: Floats) -> Floats:
        """θ for every type."""
        return np.repeat(theta[:, None], self.num_types, axis=1)

    def pull_back(self, theta: Floats, slope: Floats) -> Floats:
        """The sum over types."""
        del theta
        total: Floats = slope.sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class PricesOfTypes:
    """Implements `Tariff`: θ are 24 prices for each of K types, which is all that prices can do.

    Attributes:
        num_types: K.
    """

    num_types: int

    @property
    def num_parameters(self) -> int:
        """D = 24 K."""
        return HOURS * self.num_types

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """The flat tariff."""
        del streams
        return np.full((num_runs, self.num_parameters), FLAT)

    def prices(self, theta: Floats) -> Floats:
        """θ, type by type."""
        return theta.reshape(len(theta), self.num_types, HOURS)

    def pull_back(self, theta: Floats, slope: Floats) -> Floats:
        """The gradient as it is."""
        return slope.reshape(theta.shape)


@dataclass(frozen=True, eq=False)
class NetworkPrices:
    """Implements `Tariff`: a multilayer perceptron from (hour, forecast) to the price of the hour.

        p_mh = 1 / (1 + exp(-z)),   z = log(FLAT / (1 - FLAT)) + network(x_mh; θ)

    so that prices lie within [0, 1] $/kWh. The input x has the hour, one of 24, and the forecast:
    load and solar energy of a mean house in this hour, kWh, and how many standard deviations those
    of the whole day are above their means. The output layer is 0 at first: every price is the flat
    one.

    Attributes:
        problem: the houses and their days.
        width: of both hidden layers.
    """

    problem: VaryingDays
    width: int

    @cached_property
    def network(self) -> Mlp:
        """28 inputs, one output."""
        return Mlp(self.inputs.shape[1], 1, self.width)

    @cached_property
    def inputs(self) -> Floats:
        """X of every type and hour, shape (24 K, 28)."""
        forecast = self.problem.forecast
        totals = forecast.sum(axis=1)
        likely = self.problem.types.probability[:, None]
        mean = (totals * likely).sum(axis=0)
        away = totals - mean
        deviation = np.sqrt((np.square(away) * likely).sum(axis=0))
        of_day = np.divide(away, deviation, out=np.zeros_like(away), where=deviation > 0.0)
        told = np.concatenate([forecast, np.repeat(of_day[:, None], HOURS, axis=1)], axis=2)
        hours = np.tile(np.eye(HOURS), (len(forecast), 1))
        return np.hstack([hours, told.reshape(-1, told.shape[2])])

    @property
    def num_parameters(self) -> int:
        """D."""
        return self.network.num_parameters

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Xavier's hidden layers, and an output layer of zeros."""
        del num_runs
        theta = self.network.xavier(streams.normals("initial_parameters", (self.num_parameters,)))
        theta[:, -self.width - 1 :] = 0.0
        return theta

    def prices(self, theta: Floats) -> Floats:
        """Of every type and hour."""
        raised = self.network.forward(theta, self._each(theta))[..., 0]
        prices: Floats = 0.5 + 0.5 * np.tanh(0.5 * (np.log(FLAT / (1.0 - FLAT)) + raised))
        return prices.reshape(len(theta), self.problem.types.number, HOURS)

    def pull_back(self, theta: Floats, slope: Floats) -> Floats:
        """The chain rule through the logistic function and the network."""
        prices = self.prices(theta)
        weights = (slope * prices * (1.0 - prices)).reshape(len(theta), -1, 1)
        return self.network.pull_back(theta, self._each(theta), np.ascontiguousarray(weights))

    def _each(self, theta: Floats) -> Floats:
        return np.broadcast_to(self.inputs, (len(theta), *self.inputs.shape)).copy()
