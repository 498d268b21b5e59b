"""What a planner sees of its roads: trips, and with its own delay curves flows and times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.adjoint import feedback
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.game import Travelling
from bilevelrl.models.network_flow.hypergradient import Flows
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.trips import Trips, TripSampler

#: Of the adjoint system, relative to its right side; trips are never that accurate.
_ACCURACY = 1e-10


class Covariance(Protocol):
    """An estimate of W = ∂w/∂c of one run, symmetric and negative semidefinite."""

    def product(self, change: Floats) -> Floats:
        """W u, shape (L,), in vehicles, for a change u of the costs in minutes, (L,)."""


@dataclass(frozen=True, eq=False)
class SeenFlows:
    """Estimated flows of R runs; implements `hypergradient.Flows`.

    Attributes:
        network: whose delay curves the planner knows.
        theta: charge on each link in minutes, shape (R, L).
        flow: w in vehicles, shape (R, L).
    """

    network: Network
    theta: Floats
    flow: Floats

    @property
    def time(self) -> Floats:
        """t(w) in minutes, shape (R, L)."""
        return self.network.time(self.flow)

    @property
    def slope(self) -> Floats:
        """t'(w) in minutes per vehicle, shape (R, L)."""
        return self.network.slope(self.flow)

    @property
    def total_cost(self) -> Floats:
        """Unknown: what travellers expect is not to be seen."""
        return np.full(len(self.flow), np.nan)


@dataclass(frozen=True, eq=False)
class SeenTrips:
    """Trips that a planner watches, and estimates of the gradient from them.

    It knows the network with its delay curves, the demand q of each pair of origin and destination
    and the rationality, and sees where trips begin and end and which links they take: no value
    function, and no reward of the travellers. An estimate consumes one step per *trip*, however
    many links that has.

    Attributes:
        roads: the planner's problem.
        num_trips: n per estimate and run.
        rationality: β_r of each run per minute, shape (R,).
    """

    roads: ChargedRoads
    num_trips: int
    rationality: Floats

    def observe(self, response: Travelling, streams: Streams) -> Trips:
        """Fresh trips of the travellers."""
        sampler = TripSampler(self.roads.network, self.num_trips)
        return sampler.sample(response.reached.policy, streams)

    def flows(self, theta: Floats, trips: Trips) -> SeenFlows:
        """All vehicles as those of the trips: an unbiased estimate of w."""
        net = self.roads.network
        mean = [trips.mean(run, net.num_links) for run in range(len(theta))]
        return self.at(theta, net.total_demand * np.array(mean))

    def at(self, theta: Floats, flow: Floats) -> SeenFlows:
        """The same with flows (R, L) from elsewhere."""
        return SeenFlows(self.roads.network, self.roads.charges(theta), flow)

    def estimate(
        self,
        theta: Floats,
        seen: Flows,
        covariances: Sequence[Covariance] | None,
        *,
        adjoint: bool,
    ) -> Estimate:
        """dJ/dθ from flows and W.

        b = W ∂_w loss + ∂_c loss, and with the `adjoint` (I - W diag(t'))⁻¹ b, as in
        `hypergradient`. Flows and W are plugged in: t and t' are convex in w, and the inverse is no
        linear function of W: means are off by O(1/n), also where the mean of W u is W u.

        Args:
            theta: shape (R, D).
            seen: flows and times.
            covariances: W of each run; None leaves the indirect part out.
            adjoint: whether the congestion that travellers make for each other is followed.
        """
        roads = self.roads
        found = roads.objective(seen)
        indirect = np.zeros_like(found.of_theta)
        slope = seen.slope
        for run, own in enumerate(covariances or ()):
            right = own.product(found.of_flow[run]) + found.of_cost[run]
            if adjoint:
                scale = 1.0 / (1.0 + self.rationality[run] * slope[run] * seen.flow[run])
                right = feedback(own.product, slope[run], right, scale, _ACCURACY)
            indirect[run] = -right
        direct, indirect = (roads.pulled_back(theta, part) for part in (-found.of_theta, indirect))
        return Estimate(direct, indirect, -found.loss, env_steps=self.num_trips)
