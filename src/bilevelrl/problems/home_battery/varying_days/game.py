"""Home battery on days that vary, ready for the training loop."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.problems.home_battery.varying_days.exact import (
    components,
    leader_return,
    price_gradient,
    typed_days,
)
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner, VaryingResponse
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays
from bilevelrl.problems.home_battery.varying_days.tariffs import Tariff


@dataclass(frozen=True, eq=False)
class VaryingGame:
    """Implements `core.training.Game`, with houses that plan exactly.

    Attributes:
        tariff: from θ to the prices of every type of day.
        exact: the houses, with a temperature for each run.
    """

    tariff: Tariff
    exact: VaryingPlanner

    @property
    def problem(self) -> VaryingDays:
        """The houses and their days."""
        return self.exact.problem

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), at the flat tariff, and the houses' memory."""
        theta = self.tariff.start(len(streams.seeds), streams)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """What the houses remember before their first answer."""
        return self.exact.start(num_runs, streams)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> VaryingResponse:
        """What the houses play against θ."""
        del streams
        return self.exact.respond(self.tariff.prices(theta), memory)

    def leader_return(self, theta: Floats, response: VaryingResponse) -> Floats:
        """J(θ) under what the houses play, in $ per day, shape (R,)."""
        prices, days = self.tariff.prices(theta), typed_days(self.problem, response.policy)
        return leader_return(self.problem, prices, days)

    #: The J that the leader climbs is the one that is reported.
    objective = leader_return

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ) under the best response, shape (R,)."""
        return self.leader_return(theta, self.exact.best(self.tariff.prices(theta)))

    def hypergradient(self, theta: Floats, response: VaryingResponse) -> Hypergradient:
        """dJ/dθ if the best response of all houses is `response`."""
        prices = self.tariff.prices(theta)
        found = price_gradient(self.problem, prices, response.policy, self.exact.temperature)
        direct, indirect = (
            self.tariff.pull_back(theta, part) for part in (found.direct, found.indirect)
        )
        return Hypergradient(direct, indirect, found.leader_return)

    def ground_truth(self, theta: Floats, response: VaryingResponse) -> GroundTruth:
        """Exact hypergradient at θ; the houses make no error."""
        truth, none = self.hypergradient(theta, response), np.zeros(len(theta))
        return GroundTruth(truth.total, truth.leader_return, none, none)

    def coordinates(self, theta: Floats, response: VaryingResponse) -> dict[str, Floats]:
        """What J and the day consist of, see `exact.components`."""
        prices, days = self.tariff.prices(theta), typed_days(self.problem, response.policy)
        return components(self.problem, prices, days)

    def extremes(self, theta: Floats, response: VaryingResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}
