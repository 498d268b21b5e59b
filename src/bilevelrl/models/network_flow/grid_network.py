"""Generated networks of any size: a grid of streets with random roads and random trips."""

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.network_flow.network import Network

#: Of an empty link, in minutes, and its capacity in vehicles; both are uniform between these.
_TIMES, _CAPACITIES = (2.0, 6.0), (5_000.0, 20_000.0)
#: Of the Bureau of Public Roads.
_CONGESTION, _POWER = 0.15, 4.0


def grid_network(
    rows: int, columns: int, seed: int, num_destinations: int | None = None, load: float = 0.6
) -> Network:
    """A grid of rows x columns nodes with links both ways between neighbours.

    L = 2 (rows (columns - 1) + columns (rows - 1)). Every node sends trips to every destination, in
    random proportions. Nodes are numbered row by row.

    Args:
        rows: at least 1.
        columns: at least 1; at least 2 nodes in all.
        seed: of the one generator behind the numbers; equal seeds give equal networks.
        num_destinations: K nodes drawn at random; all nodes if None.
        load: Σ flow / Σ capacity if everybody took a path with the fewest links; it sets how many
            travel.

    Raises:
        ValueError: if one of them is impossible.
    """
    num_nodes = rows * columns
    if min(rows, columns) < 1 or num_nodes < 2:
        raise ValueError(f"rows = {rows}, columns = {columns}: at least 2 nodes are needed")
    if num_destinations is None:
        num_destinations = num_nodes
    if not 1 <= num_destinations <= num_nodes:
        raise ValueError(f"num_destinations = {num_destinations}: 1 to {num_nodes} are allowed")
    if not 0.0 < load < np.inf:
        raise ValueError(f"load = {load}: it must be positive and finite")
    generator = np.random.default_rng(seed)
    tail, head = _streets(rows, columns)
    capacity = generator.uniform(*_CAPACITIES, len(tail))
    free_flow_time = generator.uniform(*_TIMES, len(tail))
    destinations = np.sort(generator.choice(num_nodes, num_destinations, replace=False))
    demand: Floats = generator.uniform(size=(num_nodes, num_destinations))
    demand[destinations, np.arange(num_destinations)] = 0.0
    row, column = np.divmod(np.arange(num_nodes), columns)
    distance = np.abs(row[:, None] - row[destinations])
    distance += np.abs(column[:, None] - column[destinations])
    demand *= load * capacity.sum() / (demand * distance).sum()
    return Network(
        num_nodes=num_nodes,
        tail=tail,
        head=head,
        free_flow_time=free_flow_time,
        capacity=capacity,
        congestion=np.full(len(tail), _CONGESTION),
        power=np.full(len(tail), _POWER),
        destinations=destinations.astype(np.int64),
        demand=demand,
    )


def _streets(rows: int, columns: int) -> tuple[Index, Index]:
    node = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    first = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
    second = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
    tail, head = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((head, tail))
    return tail[order], head[order]
