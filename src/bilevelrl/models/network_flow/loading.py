"""Where travellers go at given costs, and how that changes with the costs.

Heading for destination d, from node i they take link a = (i, j) with probability exp(-β_r (c_a +
τ_j - τ_i)), where τ_i = -(1/β_r) log Σ_a exp(-β_r (c_a + τ_j)), τ_d = 0, is their expected cost
less what their choice is worth: an undiscounted, absorbing, soft Markov decision process per
destination (Akamatsu 1996; Baillon and Cominetti 2008). With M(i, j) = exp(-β_r c_a), G = (I - M)⁻¹
and z = exp(-β_r τ) all destinations share one factorisation, for they differ in one row:

    z = G e_d / G(d, d),    y = Gᵀ (q / z - Q e_d),    w_a = exp(-β_r c_a) Σ_d y_i z_j

with q the demand for d and Q its sum. The second term of y is what would go on beyond d.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel
from bilevelrl.models.network_flow.adjoint import feedback
from bilevelrl.models.network_flow.factors import (
    DENSE_LINKS,
    Factor,
    factorised,
    spectral_radius,
)
from bilevelrl.models.network_flow.network import Network

#: The least z of a trip that somebody makes; below, numbers lose digits and then vanish.
_LEAST = 1e-290


class Refused(ValueError):
    """Travellers have no finite expected cost at these costs, or none that can be computed."""


@dataclass(frozen=True, eq=False)
class Loading:
    """The flows of one run at given costs.

    Attributes:
        network: with L links, N nodes and K destinations.
        cost: c in minutes, shape (L,).
        rationality: β_r per minute.
        weight: exp(-β_r c), shape (L,).
        factor: I - M.
        z: exp(-β_r τ), 0 where no path leads to the destination, shape (N, K).
        y: see above, 0 at the destination itself, shape (N, K).
        flow: w in vehicles, shape (L,).
    """

    network: Network
    cost: Floats
    rationality: float
    weight: Floats
    factor: Factor
    z: Floats
    y: Floats
    flow: Floats

    @property
    def expected_cost(self) -> Floats:
        """τ in minutes, ∞ where no path leads to the destination, shape (N, K)."""
        with np.errstate(divide="ignore"):
            cost: Floats = -np.log(self.z) / self.rationality
        return cost

    @property
    def total_cost(self) -> float:
        """Σ q τ in vehicle-minutes."""
        travelled = self.network.demand > 0.0
        return float((self.network.demand[travelled] * self.expected_cost[travelled]).sum())

    @property
    def policy(self) -> Floats:
        """Probability of each link at its tail by destination, shape (K, L).

        It is 0 where travellers have arrived, and where no path leads to the destination.
        """
        policy = np.empty((self.network.num_destinations, self.network.num_links))
        _choose(
            self.network.tail, self.network.head, self.network.destinations, self.weight, self.z,
            policy,
        )  # fmt: skip
        return policy

    @property
    def visits(self) -> Floats:
        """Vehicles that leave each node by destination, shape (N, K)."""
        visits: Floats = self.y * self.z
        return visits

    def product(self, change: Floats) -> Floats:
        """W u, how flows change if costs change by u, shape (L,); W = ∂w/∂c is symmetric.

        A change of the costs changes τ by S = its expected sum along the way, and

            dz = -β_r z S,    dy = Gᵀ (dMᵀ y + β_r q S / z).
        """
        net = self.network
        right = np.zeros_like(self.z)
        changed = self.weight * change
        _spend(net.tail, net.head, changed, self.z, right)
        spent = self.factor.solve(right)
        _respond(
            net.tail, net.head, net.destinations, changed, self.rationality, net.demand, self.z,
            self.y, spent, right,
        )  # fmt: skip
        response = self.factor.solve_transposed(right)
        flows = np.empty(net.num_links)
        _collect(
            net.tail, net.head, net.destinations, self.weight, change, self.rationality, self.z,
            self.y, self.flow, spent, response, flows,
        )  # fmt: skip
        return flows

    def jacobian(self) -> Floats:
        """W as a matrix, shape (L, L), for small networks: one product per link."""
        return np.array([self.product(unit) for unit in np.eye(self.network.num_links)]).T

    def feedback(self, slope: Floats, right: Floats, accuracy: float) -> Floats:
        """(I - W diag(t'))⁻¹ b, shape (L,): what congestion makes of a change b of the flows.

        By conjugate gradients, see `adjoint.feedback`.
        """
        # Links would have this diagonal if each were somebody's only one.
        scale = 1.0 / (1.0 + self.rationality * slope * self.flow)
        return feedback(self.product, slope, right, scale, accuracy)


def load(
    network: Network,
    cost: Floats,
    rationality: float,
    *,
    sparse: bool | None = None,
    name: str = "run 0",
) -> Loading:
    """Flows at costs c in minutes, shape (L,), and rationality β_r per minute.

    Args:
        network: the roads and the demand.
        cost: of each link; negative ones are possible.
        rationality: positive.
        sparse: whether to factorise a sparse matrix; above 500 links if None.
        name: of the run, in messages.

    Raises:
        Refused: if the spectral radius of M is 1 or more, so that somebody who drives in circles
            for ever has no finite expected cost; or if exp(-β_r τ) of a trip is below 10⁻²⁹⁰.
    """
    weight = np.exp(-rationality * cost)
    if sparse is None:
        sparse = network.num_links > DENSE_LINKS
    factor = factorised(network, weight, sparse=sparse)
    if factor is None:
        raise Refused(
            f"{name}: at rationality {rationality:g} per minute the spectral radius of "
            f"exp(-rationality x cost) is {spectral_radius(network, weight):.4g}; it must be below "
            f"1: travellers must be more rational, or links cost more"
        )
    every = np.arange(network.num_destinations)
    unit = np.zeros((network.num_nodes, network.num_destinations))
    unit[network.destinations, every] = 1.0
    z = factor.solve(unit)
    z /= z[network.destinations, every]
    travelled = network.demand > 0.0
    if (z[travelled] < _LEAST).any():
        longest = z[travelled].min()
        raise Refused(
            f"{name}: at rationality {rationality:g} per minute exp(-rationality x expected cost) "
            f"of a trip is {longest:.3g}; at least {_LEAST:g} is needed: travellers must be less "
            f"rational, or trips shorter"
        )
    right = np.divide(network.demand, z, out=np.zeros_like(z), where=travelled)
    right[network.destinations, every] = -network.arrivals
    y = factor.solve_transposed(right)
    y[network.destinations, every] = 0.0
    flow = np.empty(network.num_links)
    _flows(network.tail, network.head, weight, z, y, flow)
    return Loading(network, cost, rationality, weight, factor, z, y, flow)


@kernel
def _flows(tail, head, weight, z, y, flow):  # type: ignore[no-untyped-def]
    for a in range(len(tail)):
        going, left = y[tail[a]], z[head[a]]
        total = 0.0
        for d in range(z.shape[1]):
            total += going[d] * left[d]
        flow[a] = weight[a] * total


@kernel
def _choose(tail, head, destinations, weight, z, policy):  # type: ignore[no-untyped-def]
    for d in range(z.shape[1]):
        for a in range(len(tail)):
            here = z[tail[a], d]
            arrived = tail[a] == destinations[d] or here == 0.0
            policy[d, a] = 0.0 if arrived else weight[a] * z[head[a], d] / here


@kernel
def _spend(tail, head, changed, z, right):  # type: ignore[no-untyped-def]
    for a in range(len(tail)):
        row, left = right[tail[a]], z[head[a]]
        for d in range(z.shape[1]):
            row[d] += changed[a] * left[d]


@kernel
def _respond(  # type: ignore[no-untyped-def]
    tail, head, destinations, changed, rationality, demand, z, y, spent, right
):
    # Turns `spent` into S, the expected sum along the way, and puts what Gᵀ works on into `right`.
    num_nodes, num_destinations = z.shape
    beyond = np.empty(num_destinations)
    for d in range(num_destinations):
        beyond[d] = spent[destinations[d], d]
    for i in range(num_nodes):
        for d in range(num_destinations):
            value = 0.0
            if z[i, d] > 0.0:
                value = spent[i, d] / z[i, d] - beyond[d]
            spent[i, d] = value
            right[i, d] = 0.0
            if demand[i, d] > 0.0:
                right[i, d] = rationality * demand[i, d] * value / z[i, d]
    for a in range(len(tail)):
        row, going = right[head[a]], y[tail[a]]
        factor = rationality * changed[a]
        for d in range(num_destinations):
            row[d] -= factor * going[d]


@kernel
def _collect(  # type: ignore[no-untyped-def]
    tail, head, destinations, weight, change, rationality, z, y, flow, spent, response, flows
):
    for d in range(z.shape[1]):
        response[destinations[d], d] = 0.0
    for a in range(len(tail)):
        answer, going = response[tail[a]], y[tail[a]]
        left, after = z[head[a]], spent[head[a]]
        total = 0.0
        for d in range(z.shape[1]):
            total += left[d] * (answer[d] - rationality * going[d] * after[d])
        flows[a] = weight[a] * total - rationality * change[a] * flow[a]
