"""Braess's network, where a new road makes everybody's trip longer."""

import numpy as np

from bilevelrl.models.network_flow.network import Network


def braess() -> Network:
    """4 nodes, 5 links, 6 vehicles from node 0 to node 3 (Braess 1968, in minutes).

    Links 0 (0 to 1) and 4 (2 to 3) take 10 w, links 1 (0 to 2) and 3 (1 to 3) 50 + w, and link 2,
    the new road from 1 to 2, 10 + w. Without choice errors everybody travels for 92 minutes, and
    for 83 where nobody takes the new road. A link must take some time when it is empty: 10 w is
    10⁻⁸ + 10 w here.
    """
    free_flow_time = np.array([1e-8, 50.0, 10.0, 50.0, 1e-8])
    growth = np.array([10.0, 1.0, 1.0, 1.0, 10.0])  # minutes per vehicle
    demand = np.zeros((4, 1))
    demand[0] = 6.0
    return Network(
        num_nodes=4,
        tail=np.array([0, 0, 1, 1, 2], dtype=np.int64),
        head=np.array([1, 2, 2, 3, 3], dtype=np.int64),
        free_flow_time=free_flow_time,
        capacity=np.ones(5),
        congestion=growth / free_flow_time,
        power=np.ones(5),
        destinations=np.array([3], dtype=np.int64),
        demand=demand,
    )
