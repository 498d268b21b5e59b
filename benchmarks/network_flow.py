"""What an equilibrium and a hypergradient of a network take, against its links.

`OPENBLAS_NUM_THREADS=1 python benchmarks/network_flow.py > benchmarks/results/network_flow.csv`:
CPU time of one thread, medians of five; generated grids, once with 24 destinations and once with
all nodes, and Sioux Falls. Rationality is 1 per minute; a cold equilibrium begins with empty roads,
a warm one with that of charges .1 minutes lower. `array_mib` is what NumPy holds at most during a
cold equilibrium and a hypergradient, `factor_mib` what SuperLU holds besides.

`python benchmarks/network_flow.py --draw` draws that table: benchmarks/results/network_flow.png.
"""

import argparse
import csv
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures import style
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
RESULTS = Path(__file__).absolute().parent / "results" / "network_flow"
#: Columns of the table that are drawn, what they are and in which colour.
LINES = (
    ("cold_ms", "equilibrium from empty roads", "#D55E00"),
    ("warm_ms", "equilibrium from the last one", "#0072B2"),
    ("hypergradient_ms", "hypergradient", "#009E73"),
)


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


def measure() -> None:
    """Print the table."""
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


def drawn(table: pd.DataFrame) -> Figure:
    """Times against links, of networks with as many destinations as Sioux Falls, and a line."""
    rows = table[table["destinations"] == table["destinations"].iloc[0]].sort_values("links")
    with style.theme():
        figure, ((ax,),) = style.new_figure(5.0, 3.4)
        for name, label, colour in LINES:
            ax.plot(rows["links"], rows[name], marker="o", color=colour, label=label)
        start = rows[rows["network"] != "sioux_falls"].iloc[0]
        ends = np.array([start["links"], rows["links"].max()])
        ax.plot(ends, start["cold_ms"] * ends / ends[0], color="0.6", ls=":", label="linear")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("links")
        ax.set_ylabel("milliseconds of CPU")
        ax.legend()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="the figure instead of the table")
    if parser.parse_args().draw:
        figure = drawn(pd.read_csv(RESULTS.with_suffix(".csv")))
        figure.savefig(RESULTS.with_suffix(".png"), dpi=150, metadata={"Software": None})
    else:
        measure()
