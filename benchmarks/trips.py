"""What trips of Sioux Falls take to sample, beside a sampler in plain Python and one equilibrium.

`OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/trips.py >
benchmarks/results/trips.csv`: CPU milliseconds of one thread, medians of nine. All three are
measured in turns in one process, so that ratios depend less on the machine than times do, and on
what else it does. The plain sampler has the cumulative probabilities of every node and destination
beforehand. Travellers are in equilibrium without tolls, at a rationality of 1 per minute;
the equilibrium that is timed begins with empty roads.
"""

import csv
import random
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.sioux_falls import sioux_falls
from bilevelrl.models.network_flow.trips import TripSampler

NUM_TRIPS = (1_000, 10_000, 100_000)
REPETITIONS = 9


class PlainSampler:
    """Trips drawn one link after the other, in Python without NumPy."""

    def __init__(self, network: Network, policy: Floats) -> None:
        """Prepare for policies p(a | node, destination) of one run, shape (K, L)."""
        pairs = [tuple(pair) for pair in np.argwhere(network.demand > 0.0).tolist()]
        self._pairs = pairs
        self._demand = [*accumulate(float(network.demand[pair]) for pair in pairs)]
        self._destinations = network.destinations.tolist()
        self._head = network.head.tolist()
        order, start = network.leaving
        self._links = [order[first:last].tolist() for first, last in pairwise(start.tolist())]
        self._cumulative = [
            [[*accumulate(own[links].tolist())] for links in self._links] for own in policy
        ]

    def sample(self, num_trips: int, generator: random.Random) -> list[list[int]]:
        """The links of each trip."""
        trips = []
        for _ in range(num_trips):
            drawn = bisect_right(self._demand, generator.random() * self._demand[-1])
            node, place = self._pairs[min(drawn, len(self._pairs) - 1)]
            goal, choices = self._destinations[place], self._cumulative[place]
            trip = list[int]()
            while node != goal:
                chances = choices[node]
                drawn = bisect_right(chances, generator.random() * chances[-1])
                link = self._links[node][min(drawn, len(chances) - 1)]
                trip.append(link)
                node = self._head[link]
            trips.append(trip)
        return trips


def milliseconds(functions: Sequence[Callable[[], object]]) -> list[float]:
    """Of CPU, the median of each, measured in turns."""
    taken: list[list[float]] = [[] for _ in functions]
    for _ in range(REPETITIONS):
        for function, own in zip(functions, taken, strict=True):
            begun = time.process_time()
            function()
            own.append(1e3 * (time.process_time() - begun))
    return [statistics.median(own) for own in taken]


def measure() -> None:
    """Print the table."""
    network, beta, free = sioux_falls(), np.ones(1), np.zeros((1, 76))
    reached = equilibrium(network, free, beta)
    policy, streams, generator = reached.policy, Streams([0]), random.Random(0)
    plain = PlainSampler(network, policy[0])
    TripSampler(network, 10).sample(policy, streams)  # compiles
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(
        [
            "trips", "kernel_ms", "plain_python_ms", "equilibrium_ms", "plain_over_kernel",
            "kernel_over_equilibrium",
        ]
    )  # fmt: skip
    for number in NUM_TRIPS:
        sampler = TripSampler(network, number)
        kernel, python, solved = milliseconds(
            [
                lambda sampler=sampler: sampler.sample(policy, streams),
                lambda number=number: plain.sample(number, generator),
                lambda: equilibrium(network, free, beta),
            ]
        )
        times = (f"{kernel:.2f}", f"{python:.1f}", f"{solved:.2f}")
        table.writerow([number, *times, f"{python / kernel:.1f}", f"{kernel / solved:.2f}"])
        sys.stdout.flush()


if __name__ == "__main__":
    measure()
