"""Delay curves that a planner identifies, for it knows its roads' lengths but not their capacities.

It knows t0 and the power p of t = t0 (1 + k wᵖ), sees how long the links of the trips take that it
watches, and learns k, one number per link, as a ratio of sums over updates:

    k = Σ (t / t0 - 1) / Σ ŵᵖ,

of flows ŵ that it estimates from the same trips. Noise of ŵ makes ŵᵖ too large on average, and k
too small, by O(1/n).
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.trips import Trips


@dataclass(frozen=True, eq=False)
class IdentifiedDelays:
    """Of roads with L links, whatever their capacities.

    Attributes:
        free_flow_time: t0 in minutes, shape (L,).
        power: p, shape (L,).
        forgetting_factor: weight of all earlier updates against the newest, in [0, 1].
    """

    free_flow_time: Floats
    power: Floats
    forgetting_factor: float

    def start(self, streams: Streams) -> Memory:
        """Nothing measured: sums of delays and of ŵᵖ, both (R, L)."""
        shape = (len(streams.seeds), len(self.free_flow_time))
        return {"delays": np.zeros(shape), "powers": np.zeros(shape)}

    def learn(self, trips: Trips, time: Floats, flow: Floats, memory: Memory) -> None:
        """Measure the links that some trip took; updates `memory` in place.

        Args:
            trips: that were watched.
            time: how long each link takes in minutes, shape (R, L); of links that no trip took it
                is not read.
            flow: ŵ in vehicles, shape (R, L).
            memory: see `start`.
        """
        for name in ("delays", "powers"):
            memory[name] *= self.forgetting_factor
        for run in range(len(flow)):
            taken = np.unique(trips.of_run(run)[1])
            delay = time[run, taken] / self.free_flow_time[taken] - 1.0
            memory["delays"][run, taken] += delay
            memory["powers"][run, taken] += flow[run, taken] ** self.power[taken]

    def coefficient(self, memory: Memory) -> Floats:
        """k, shape (R, L), 0 where nothing was measured."""
        powers = memory["powers"]
        return np.divide(memory["delays"], powers, out=np.zeros_like(powers), where=powers > 0.0)


@dataclass(frozen=True, eq=False)
class IdentifiedFlows:
    """Estimated flows on roads with identified curves; implements `hypergradient.Flows`.

    Attributes:
        delays: what is known of the curves.
        coefficient: k, shape (R, L).
        theta: charge on each link in minutes, shape (R, L).
        flow: w in vehicles, shape (R, L).
    """

    delays: IdentifiedDelays
    coefficient: Floats
    theta: Floats
    flow: Floats

    @property
    def time(self) -> Floats:
        """t(w) in minutes, shape (R, L)."""
        delay: Floats = self.coefficient * self.flow**self.delays.power
        return self.delays.free_flow_time * (1.0 + delay)

    @property
    def slope(self) -> Floats:
        """t'(w) in minutes per vehicle, shape (R, L)."""
        steepness = self.delays.free_flow_time * self.delays.power
        slope: Floats = steepness * self.coefficient * self.flow ** (self.delays.power - 1.0)
        return slope

    @property
    def total_cost(self) -> Floats:
        """Unknown: what travellers expect is not to be seen."""
        return np.full(len(self.flow), np.nan)
