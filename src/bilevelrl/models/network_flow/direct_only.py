"""The direct part alone: a planner for whom travellers do not answer."""

from dataclasses import dataclass

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.game import Travelling
from bilevelrl.models.network_flow.seen_trips import SeenTrips


@dataclass(frozen=True, eq=False)
class DirectOnly:
    """∂_θ J at the flows that were seen; 0 for the travel time."""

    seen: SeenTrips

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Travelling, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips, and charge for what they use."""
        del memory
        flows = self.seen.flows(theta, self.seen.observe(response, streams))
        return self.seen.estimate(theta, flows, None, adjoint=False)
