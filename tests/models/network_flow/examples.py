"""Networks, charges and facts that several tests use."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.sioux_falls import sioux_falls

Floats = NDArray[np.float64]


#: Links of Sioux Falls that may be charged, and the best charges for the travel time at a
#: rationality of 1 per minute, rounded.
CHARGED = [11, 14, 21, 32, 35, 38, 41, 45, 46, 48, 51, 52, 57, 64, 66, 68, 70, 73]
BEST = [
    4.66, 4.66, 0.0, 4.46, 4.49, 3.56, 4.29, 4.83, 0.0, 4.08, 4.08, 4.30, 4.30, 1.45, 4.85, 1.47,
    4.30, 3.55,
]  # fmt: skip


@cache
def sioux() -> Network:
    return sioux_falls()


def generic_theta(network: Network, runs: int, seed: int = 20) -> Floats:
    """Some links free, the others at up to 8 minutes; no symmetry."""
    draws = np.random.default_rng(seed).uniform(size=(2, runs, network.num_links))
    return np.where(draws[0] < 0.3, 0.0, 8.0 * draws[1])


def triangle(**changed: Any) -> Network:
    """Node 0 to 1, twice, 1 to 2 and 0 to 2, nothing leads back; somebody travels to 1 and to 2."""
    given: dict[str, Any] = {
        "num_nodes": 3,
        "tail": np.array([0, 0, 1, 0]),
        "head": np.array([1, 1, 2, 2]),
        "free_flow_time": np.array([1.0, 2.0, 1.0, 3.0]),
        "capacity": np.array([4.0, 3.0, 5.0, 2.0]),
        "congestion": np.array([0.15, 0.5, 0.0, 1.0]),
        "power": np.array([4.0, 1.0, 2.0, 1.5]),
        "destinations": np.array([1, 2]),
        "demand": np.array([[5.0, 7.0], [0.0, 2.0], [0.0, 0.0]]),
    }
    return Network(**(given | changed))


def generated() -> Network:
    """16 nodes, 48 links, 5 destinations."""
    return grid_network(4, 4, 3, 5)


def cosine(a: Floats, b: Floats) -> float:
    return float((a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum()))
