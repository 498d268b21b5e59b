"""Flows and their covariances as the formulas are written: one dense chain per destination."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.network_flow.network import Network

Floats = NDArray[np.float64]


class Literal(NamedTuple):
    """What travellers do: τ (N, K), p (K, L), w (L,) and W (L, L).

    `between` (L, L) is the covariance of E[n | origin, destination] over who travels: what the
    links of a trip have of it besides -W / (β_r Σ q).
    """

    expected_cost: Floats
    policy: Floats
    flow: Floats
    jacobian: Floats
    between: Floats


def literal(network: Network, cost: Floats, rationality: float) -> Literal:
    n, links = network.num_nodes, range(network.num_links)
    tau = np.full((n, network.num_destinations), np.inf)
    policy = np.zeros((network.num_destinations, network.num_links))
    flow, second = np.zeros(network.num_links), np.zeros((network.num_links, network.num_links))
    means, weights = list[Floats](), list[float]()
    for k, d in enumerate(network.destinations):
        matrix = np.zeros((n, n))
        for a in links:
            if network.tail[a] != d:
                matrix[network.tail[a], network.head[a]] += np.exp(-rationality * cost[a])
        z = np.linalg.solve(np.eye(n) - matrix, np.eye(n)[d])
        with np.errstate(divide="ignore"):
            tau[:, k] = -np.log(z) / rationality
        chain = np.zeros((n, n))
        for a in links:
            if network.tail[a] != d and z[network.tail[a]] > 0.0:
                after = np.exp(-rationality * cost[a]) * z[network.head[a]]
                policy[k, a] = after / z[network.tail[a]]
                chain[network.tail[a], network.head[a]] += policy[k, a]
        visits = np.linalg.inv(np.eye(n) - chain)  # of the column, from the row
        for o in np.flatnonzero(network.demand[:, k]):
            mean = visits[o, network.tail] * policy[k]
            # Once a then b, or b then a; or both at once.
            later = mean[:, None] * visits[np.ix_(network.head, network.tail)] * policy[k]
            moment = later + later.T + np.diag(mean)
            flow += network.demand[o, k] * mean
            second += network.demand[o, k] * (moment - np.outer(mean, mean))
            means.append(mean)
            weights.append(network.demand[o, k])
    share = np.array(weights) / np.sum(weights)
    table = np.array(means) - share @ np.array(means)
    between = table.T @ (share[:, None] * table)
    return Literal(tau, policy, flow, -rationality * second, between)
