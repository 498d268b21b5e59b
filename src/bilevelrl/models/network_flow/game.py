"""Charged roads with their travellers in equilibrium, ready for the training loop."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.hypergradient import (
    Flows,
    exact_hypergradient,
    net_cost,
    travel_time,
)


class Travels(Flows, Protocol):
    """What travellers do."""

    @property
    def policy(self) -> Floats:
        """Probability of each link at its tail by destination, shape (R, K, L)."""


class Travelling(Protocol):
    """How all travellers answer, at least; read-only."""

    @property
    def reached(self) -> Travels:
        """What they do."""


@dataclass(frozen=True, eq=False)
class Travel:
    """How all travellers answer.

    Attributes:
        reached: their equilibrium.
        steps: 0, for nobody has to learn.
    """

    reached: Equilibrium
    steps: int = 0

    @property
    def accuracy(self) -> Floats:
        """Largest |w - w(t(w) + θ)| as a share of all vehicles, shape (R,)."""
        share: Floats = self.reached.residual / self.reached.network.total_demand
        return share


@dataclass(frozen=True, eq=False)
class RoadGame:
    """Implements `core.training.Game`.

    The equilibrium is unique. A search for it begins where the one before ended, and stops as soon
    as `Travel.accuracy` is certified: by that much an answer depends on where the search began,
    and no more.

    Attributes:
        roads: the leader's problem.
        rationality: β_r of each run per minute, shape (R,); the temperature β is 1 / β_r.
        first_charge: θ of all links at the start.
        tolerance: of `Travel.accuracy`.
    """

    roads: ChargedRoads
    rationality: Floats
    first_charge: float = 0.0
    tolerance: float = 1e-12

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the travellers' memory."""
        shape = (len(streams.seeds), self.roads.num_parameters)
        return np.full(shape, self.first_charge), self.follower_memory(shape[0], streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """Flows of the answer before, shape (R, L): none yet, which is NaN."""
        del streams
        return np.full((num_runs, self.roads.network.num_links), np.nan)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> Travel:
        """The equilibrium under θ; updates `memory` in place.

        Raises:
            Refused: see `equilibrium`.
            NotConverged: see there.
        """
        del streams
        reached = self._reached(theta, None if np.isnan(memory).any() else memory)
        memory[:] = reached.flow
        return Travel(reached)

    def _reached(self, theta: Floats, start: Floats | None = None) -> Equilibrium:
        roads = self.roads
        return equilibrium(
            roads.network, roads.charges(theta), self.rationality, start, tolerance=self.tolerance
        )

    def leader_return(self, theta: Floats, response: Travel) -> Floats:
        """J(θ) of these travellers, shape (R,), in vehicle-minutes."""
        del theta
        loss: Floats = -self.roads.objective(response.reached).loss
        return loss

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ), shape (R,), from a search that begins anew."""
        return self.leader_return(theta, Travel(self._reached(theta)))

    def objective(self, theta: Floats, response: Travel) -> Floats:
        """The J that the leader climbs: the one that is reported."""
        return self.leader_return(theta, response)

    def hypergradient(self, theta: Floats, response: Travel) -> Hypergradient:
        """dJ/dθ, shape (R, D), in vehicle-minutes per minute."""
        truth = exact_hypergradient(self.roads.objective, response.reached)
        direct, indirect = (
            self.roads.pulled_back(theta, part) for part in (truth.direct, truth.indirect)
        )
        return Hypergradient(direct, indirect, truth.leader_return)

    def ground_truth(self, theta: Floats, response: Travel) -> GroundTruth:
        """Of the answer itself, which is the best one up to its accuracy."""
        truth = self.hypergradient(theta, response)
        nothing = np.zeros(len(theta))
        return GroundTruth(truth.total, truth.leader_return, nothing, nothing)

    def coordinates(self, theta: Floats, response: Travelling) -> dict[str, Floats]:
        """Both objectives and the revenue in vehicle-minutes, and the mean charge in minutes."""
        reached = response.reached
        return {
            "travel_time": travel_time(reached).loss,
            "net_cost": net_cost(reached).loss,
            "revenue": np.array([row.sum() for row in reached.theta * reached.flow]),
            # Row by row: a sum over an axis depends on how the runs lie in memory.
            "mean_charge": np.array(
                [row[self.roads.charged].mean() for row in self.roads.charges(theta)]
            ),
        }

    def extremes(self, theta: Floats, response: Travel) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}
