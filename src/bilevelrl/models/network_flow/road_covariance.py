"""BC-HG on roads: the covariance of trips, and the congestion that travellers make for each other.

Without the adjoint it is what BC-HG would be for one traveller after the other (arXiv 2603.14867),
to whom all others are a fixed environment: it misses that who gives way makes room for others.
"""

from dataclasses import dataclass

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.game import Travelling
from bilevelrl.models.network_flow.pair_covariance import pair_covariance
from bilevelrl.models.network_flow.seen_trips import SeenTrips


@dataclass(frozen=True, eq=False)
class RoadCovariance:
    """Flows and W from the newest trips only.

    Attributes:
        seen: what the planner sees.
        adjoint: whether congestion is followed.
    """

    seen: SeenTrips
    adjoint: bool = True

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Travelling, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips, and estimate both parts from them."""
        del memory
        seen = self.seen
        trips = seen.observe(response, streams)
        covariances = [
            pair_covariance(seen.roads.network, trips, run, float(rationality))
            for run, rationality in enumerate(seen.rationality)
        ]
        flows = seen.flows(theta, trips)
        return seen.estimate(theta, flows, covariances, adjoint=self.adjoint)
