"""Sioux Falls, the small network that transport research compares its methods on."""

import csv
import hashlib
from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.network_flow.network import Network

_FOLDER = Path(__file__).parent / "data"
#: SHA-256 of the tables. It stands in the code so that results are known by what they came from.
_DIGESTS = {
    "sioux_falls_links.csv": "3cad3f14cea2cf111b3d19b6b7cf57db1c90a71cc7a705281626c968f89ee5ed",
    "sioux_falls_demand.csv": "89809d419358d3aed98dfdad4277d7a4df7e7d4d7d23668c26163bcfc83bce88",
}


def sioux_falls() -> Network:
    """24 nodes, 76 links, 360,600 trips between 528 pairs (LeBlanc, Morlok, Pierskalla 1975).

    Nodes are numbered from 0, one below the published names; links are in the published order.
    data/README.md says where the tables come from, and for what they may be used.

    Raises:
        ValueError: if the tables are not those that this version was made with.
    """
    links, trips = _read("sioux_falls_links.csv"), _read("sioux_falls_demand.csv")
    tail, head = (links[name].astype(np.int64) - 1 for name in ("tail", "head"))
    num_nodes = int(max(tail.max(), head.max())) + 1
    demand = np.zeros((num_nodes, num_nodes))
    origin, destination = (trips[name].astype(np.int64) - 1 for name in ("origin", "destination"))
    demand[origin, destination] = trips["trips"]
    return Network(
        num_nodes=num_nodes,
        tail=tail,
        head=head,
        free_flow_time=links["free_flow_time"],
        capacity=links["capacity"],
        congestion=links["congestion"],
        power=links["power"],
        destinations=np.arange(num_nodes, dtype=np.int64),
        demand=demand,
    )


def _read(name: str) -> dict[str, Floats]:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != _DIGESTS[name]:
        raise ValueError(f"{name} has SHA-256 {found}: {_DIGESTS[name]} is needed")
    names, *rows = csv.reader(text.splitlines())
    columns = np.array(rows, dtype=np.float64).T
    return dict(zip(names, np.ascontiguousarray(columns), strict=True))
