"""BC-HG on roads with control variates and a memory: flows and W from choices seen ever since."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.choice_counts import ChoiceCounts
from bilevelrl.models.network_flow.game import Travelling
from bilevelrl.models.network_flow.identified_delays import IdentifiedDelays, IdentifiedFlows
from bilevelrl.models.network_flow.seen_trips import SeenTrips


@dataclass(frozen=True, eq=False)
class LearnedRoadCovariance:
    """Doubly centred, with older trips forgotten little by little.

    Where θ moves, older trips are those of other charges: a bias that falls with the step size, and
    with the forgetting factor.

    Attributes:
        seen: what the planner sees.
        forgetting_factor: see `ChoiceCounts`; 0 uses the newest trips only.
        adjoint: whether congestion is followed.
        identifies: whether delay curves are learned too, by a planner who knows no capacity but
            sees how long the links of its trips take.
    """

    seen: SeenTrips
    forgetting_factor: float = 0.9
    adjoint: bool = True
    identifies: bool = False

    def start(self, streams: Streams) -> Memory:
        """No choice was seen yet."""
        return self._counts.start(streams) | (
            self._delays.start(streams) if self.identifies else {}
        )

    @property
    def _delays(self) -> IdentifiedDelays:
        net = self.seen.roads.network
        return IdentifiedDelays(net.free_flow_time, net.power, self.forgetting_factor)

    @property
    def _counts(self) -> ChoiceCounts:
        return ChoiceCounts(self.seen.roads.network, self.forgetting_factor)

    def estimate(
        self, theta: Floats, response: Travelling, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips, learn from them, and estimate both parts; updates `memory` in place."""
        seen, counts = self.seen, self._counts
        trips = seen.observe(response, streams)
        counts.see(trips, memory)
        covariances = [
            counts.covariance(run, memory, float(rationality))
            for run, rationality in enumerate(seen.rationality)
        ]
        flow = np.array([each.flow for each in covariances])
        if not self.identifies:
            return seen.estimate(theta, seen.at(theta, flow), covariances, adjoint=self.adjoint)
        delays = self._delays
        delays.learn(trips, response.reached.time, flow, memory)
        charges = seen.roads.charges(theta)
        flows = IdentifiedFlows(delays, delays.coefficient(memory), charges, flow)
        return seen.estimate(theta, flows, covariances, adjoint=self.adjoint)
