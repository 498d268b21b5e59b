"""BC-HG on roads with control variates and a memory: flows and W from choices seen ever since."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.choice_counts import ChoiceCounts
from bilevelrl.models.network_flow.game import Travelling
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
    """

    seen: SeenTrips
    forgetting_factor: float = 0.9
    adjoint: bool = True

    def start(self, streams: Streams) -> Memory:
        """No choice was seen yet."""
        return self._counts.start(streams)

    @property
    def _counts(self) -> ChoiceCounts:
        return ChoiceCounts(self.seen.roads.network, self.forgetting_factor)

    def estimate(
        self, theta: Floats, response: Travelling, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips, learn from them, and estimate both parts; updates `memory` in place."""
        seen, counts = self.seen, self._counts
        counts.see(seen.observe(response, streams), memory)
        covariances = [
            counts.covariance(run, memory, float(rationality))
            for run, rationality in enumerate(seen.rationality)
        ]
        flows = seen.at(theta, np.array([each.flow for each in covariances]))
        return seen.estimate(theta, flows, covariances, adjoint=self.adjoint)
