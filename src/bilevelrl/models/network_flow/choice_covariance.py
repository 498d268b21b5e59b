"""W = ∂w/∂c as the covariance of choices, node by node: doubly centred.

Travellers for one destination choose at each node by where they are, whatever came before. So a
trip's covariance is a sum over the choices on its way, each of what the choice changes:

    W(a, b) = -β_r Σ_d Σ_i x(i, d) Cov_{p(· | i, d)}(E[n_a | choice], E[n_b | choice]),

with x(i, d) those who leave node i for d. That is BC-HG's covariance with both sides centred, the
mean E[n | i, d] being the control variate. A trip tells of all nodes that it passes, trips of all
origins tell of the same choices, and what q says of the number of travellers is known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.network_flow.factors import DENSE_LINKS, Factor, factorised
from bilevelrl.models.network_flow.network import Network


@dataclass(frozen=True, eq=False)
class ChoiceCovariance:
    """W and flows of one run, from how travellers choose.

    Attributes:
        network: with L links, N nodes and K destinations.
        demand: vehicles from each node to each destination as they are reckoned with, shape (N, K).
        policy: p(a | tail, destination), shape (K, L); 0 for all links of a node where nobody was
            seen: whoever comes there is lost.
        correction: of the covariance at each node for choices seen too seldom, shape (K, N).
        rationality: β_r per minute.

    Raises:
        ValueError: at the first use, if somebody never arrives.
    """

    network: Network
    demand: Floats
    policy: Floats
    correction: Floats
    rationality: float

    @cached_property
    def _chains(self) -> list[Factor]:
        # I - P of each destination.
        sparse = self.network.num_links > DENSE_LINKS
        chains = list[Factor]()
        for destination, policy in zip(self.network.destinations, self.policy, strict=True):
            chain = factorised(self.network, policy, sparse=sparse)
            if chain is None:
                raise ValueError(f"some travellers to node {destination} never arrive")
            chains.append(chain)
        return chains

    @cached_property
    def link_flows(self) -> Floats:
        """Vehicles by destination, shape (K, L)."""
        return self._forwards(self.demand.T)

    @property
    def flow(self) -> Floats:
        """Vehicles w, shape (L,)."""
        flow: Floats = self.link_flows.sum(axis=0)
        return flow

    def product(self, change: Floats) -> Floats:
        """W u, shape (L,): each choice is followed to where it leads, no matrix is made."""
        net = self.network
        mean = self._by_node(net.tail, self.policy * change)
        spent = np.array([  # of u, to the destination
            chain.solve(own[:, None])[:, 0]
            for chain, own in zip(self._chains, mean, strict=True)
        ])  # fmt: skip
        advantage = change + spent[:, net.head] - spent[:, net.tail]
        shifted = self.link_flows * self.correction[:, net.tail] * advantage
        further = self._forwards(self._by_node(net.head, shifted))
        response: Floats = -self.rationality * (shifted + further).sum(axis=0)
        return response

    def _by_node(self, nodes: Index, of_links: Floats) -> Floats:
        # Sums over links (K, L) by one of their ends, shape (K, N).
        size = self.network.num_nodes
        return np.array([np.bincount(nodes, own, minlength=size) for own in of_links])

    def _forwards(self, starting: Floats) -> Floats:
        # Flows on links, shape (K, L), of those who start at each node, (K, N).
        leaving = np.array([
            chain.solve_transposed(own[:, None])[:, 0]
            for chain, own in zip(self._chains, starting, strict=True)
        ])  # fmt: skip
        flows: Floats = leaving[:, self.network.tail] * self.policy
        return flows
