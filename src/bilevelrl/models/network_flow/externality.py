"""The update that needs flows only: charge for what everybody costs all others."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.game import Travelling
from bilevelrl.models.network_flow.seen_trips import SeenTrips


@dataclass(frozen=True, eq=False)
class Externality:
    """θ ← clip(θ + η (w t'(w) - θ), 0, highest), as in arXiv 2405.16716.

    Its fixed point minimises the net cost where every link may be charged (Yang 1999), and no
    objective in general where some may not. It is no gradient: w t'(w) - θ, in minutes, stands
    where the estimate of the indirect part would be, and the direct part is 0.

    Attributes:
        seen: what the planner sees; it needs no rationality and no W here.
        step_size: η of each run, shape (R,).
    """

    seen: SeenTrips
    step_size: Floats

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Travelling, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips, and go towards the charges that their flows ask for."""
        del memory
        roads = self.seen.roads
        flows = self.seen.flows(theta, self.seen.observe(response, streams))
        missing = (flows.flow * flows.slope)[:, roads.charged] - theta
        proposal = np.clip(theta + self.step_size[:, None] * missing, 0.0, roads.highest)
        return Estimate(
            np.zeros_like(theta),
            missing,
            -roads.objective(flows).loss,
            env_steps=self.seen.num_trips,
            proposal=proposal,
        )
