"""How travellers choose, from all trips that were ever seen, the older ones weighing less."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.choice_covariance import ChoiceCovariance
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.trips import Trips


@dataclass(frozen=True, eq=False)
class ChoiceCounts:
    """Counts of each link by destination.

    Attributes:
        network: with L links and K destinations.
        forgetting_factor: weight of all earlier trips against the newest, in [0, 1].

    Raises:
        ValueError: if the factor is none.
    """

    network: Network
    forgetting_factor: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.forgetting_factor <= 1.0:
            raise ValueError(f"forgetting_factor = {self.forgetting_factor}: 0 to 1 are allowed")

    def start(self, streams: Streams) -> Memory:
        """Nothing seen: weights of choices, shape (R, K, L), and their squares."""
        shape = (len(streams.seeds), self.network.num_destinations, self.network.num_links)
        return {"choices": np.zeros(shape), "squares": np.zeros(shape)}

    def see(self, trips: Trips, memory: Memory) -> None:
        """Forget a little, and count the choices of these trips; updates `memory` in place."""
        net = self.network
        place = np.zeros(net.num_nodes, dtype=np.int64)
        place[net.destinations] = np.arange(net.num_destinations)
        memory["choices"] *= self.forgetting_factor
        memory["squares"] *= self.forgetting_factor**2
        size = net.num_destinations * net.num_links
        for run, destination in enumerate(trips.destination):
            trip, links = trips.of_run(run)
            chosen = place[destination[trip]] * net.num_links + links
            count = np.bincount(chosen, minlength=size).reshape(-1, net.num_links)
            memory["choices"][run] += count
            memory["squares"][run] += count

    def covariance(self, run: int, memory: Memory, rationality: float) -> ChoiceCovariance:
        """W and flows of one run as the counts have them.

        Choices at a node that were seen m times, (Σ weights)² / Σ weights² if some were forgotten,
        vary less around their own mean than around the true one: the covariance is m / (m - 1)
        times as large, and 0 where m is 1. Who begins where nobody was seen is counted with the
        others for the same destination.
        """
        net = self.network
        total, squares = (
            np.array([
                np.bincount(net.tail, row, minlength=net.num_nodes) for row in memory[name][run]
            ])
            for name in ("choices", "squares")
        )  # fmt: skip
        here = total[:, net.tail]
        policy = np.divide(memory["choices"][run], here, out=np.zeros_like(here), where=here > 0.0)
        number: Floats = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0.0)
        # Twice at least in effect, so that nothing is blown up.
        correction = np.where(number > 1.5, number / np.maximum(number - 1.0, 0.5), 0.0)
        known = np.where(total.T > 0.0, net.demand, 0.0)
        arrivals = known.sum(axis=0)
        known *= np.divide(
            net.arrivals, arrivals, out=np.zeros_like(arrivals), where=arrivals > 0.0
        )
        return ChoiceCovariance(net, known, policy, correction, rationality)
