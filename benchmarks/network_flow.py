"""What an equilibrium and a hypergradient of a network take, against its links.

`OPENBLAS_NUM_THREADS=1 python benchmarks/network_flow.py > benchmarks/results/network_flow.csv`:
CPU time of one thread, medians of five; generated grids, once with 24 destinations and once with
all nodes, and Sioux Falls. Rationality is 1 per minute; a cold equilibrium begins with empty roads,
a warm one with that of charges .1 minutes lower. `array_mib` is what NumPy holds at most during a
cold equilibrium and a hypergradient, `factor_mib` what SuperLU holds besides.
"""

import csv
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.factors import SparseFactor
from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.hypergradient import exact_hypergradient, travel_time
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.sioux_falls import sioux_falls

#: Rows, columns and destinations, None for all.
GRIDS = (
    (5, 5, 24), (10, 10, 24), (12, 11, 24), (16, 17, 24), (23, 23, 24), (36, 36, 24),
    (10, 10, None), (12, 11, None), (16, 17, None),
)  # fmt: skip
REPETITIONS = 5


def milliseconds(function: Callable[[], object]) -> float:
    """Of CPU, the median."""
    taken = []
    for _ in range(REPETITIONS):
        begun = time.process_time()
        function()
        taken.append(1e3 * (time.process_time() - begun))
    return statistics.median(taken)


def measured(name: str, network: Network) -> list[object]:
    """A row of the table."""
    beta, free = np.ones(1), np.zeros((1, network.num_links))

    def cold() -> Equilibrium:
        return equilibrium(network, free + 0.1, beta)

    reached, lower = cold(), equilibrium(network, free, beta)
    tracemalloc.start()
    exact_hypergradient(travel_time, cold())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    factor = reached.loadings[0].factor
    sparse = isinstance(factor, SparseFactor)
    held = 12 * factor.factors.nnz / 2**20 if isinstance(factor, SparseFactor) else 0.0
    return [
        name,
        network.num_links,
        network.num_nodes,
        network.num_destinations,
        "sparse" if sparse else "dense",
        f"{milliseconds(cold):.1f}",
        f"{milliseconds(lambda: equilibrium(network, free + 0.1, beta, lower.flow)):.1f}",
        f"{milliseconds(lambda: exact_hypergradient(travel_time, reached)):.1f}",
        int(reached.steps[0]),
        f"{most / 2**20:.1f}",
        f"{held:.1f}",
    ]


if __name__ == "__main__":
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(
        [
            "network", "links", "nodes", "destinations", "factorisation", "cold_ms", "warm_ms",
            "hypergradient_ms", "newton_steps", "array_mib", "factor_mib",
        ]
    )  # fmt: skip
    table.writerow(measured("sioux_falls", sioux_falls()))
    for rows, columns, destinations in GRIDS:
        network = grid_network(rows, columns, 0, destinations)
        table.writerow(measured(f"{rows} x {columns}", network))
        sys.stdout.flush()
