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

from bilevelrl.core.arrays import Floats
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
        numpy.linalg.LinAlgError: if somebody never arrives.
    """

    network: Network
    demand: Floats
    policy: Floats
    correction: Floats
    rationality: float

    @cached_property
    def visits(self) -> Floats:
        """(I - P)⁻¹, visits of a node by those who start at another, shape (K, N, N)."""
        net = self.network
        chain = np.zeros((net.num_destinations, net.num_nodes, net.num_nodes))
        for k, policy in enumerate(self.policy):
            np.add.at(chain[k], (net.tail, net.head), policy)
        return np.asarray(np.linalg.inv(np.eye(net.num_nodes) - chain), dtype=np.float64)

    @cached_property
    def link_flows(self) -> Floats:
        """Vehicles by destination, shape (K, L)."""
        leaving = np.einsum("ik,kij->kj", self.demand, self.visits)
        flows: Floats = leaving[:, self.network.tail] * self.policy
        return flows

    @property
    def flow(self) -> Floats:
        """Vehicles w, shape (L,)."""
        flow: Floats = self.link_flows.sum(axis=0)
        return flow

    def product(self, change: Floats) -> Floats:
        """W u, shape (L,): each choice is followed to where it leads, no matrix is made."""
        net = self.network
        size = (net.num_destinations, net.num_nodes)
        mean = np.zeros(size)
        for k, policy in enumerate(self.policy):
            mean[k] = np.bincount(net.tail, policy * change, minlength=net.num_nodes)
        spent = np.einsum("kij,kj->ki", self.visits, mean)  # of u, to the destination
        advantage = change + spent[:, net.head] - spent[:, net.tail]
        shifted = self.link_flows * self.correction[:, net.tail] * advantage
        arriving = np.zeros(size)
        for k, moved in enumerate(shifted):
            arriving[k] = np.bincount(net.head, moved, minlength=net.num_nodes)
        further = np.einsum("ki,kij->kj", arriving, self.visits)
        total = shifted + further[:, net.tail] * self.policy
        response: Floats = -self.rationality * total.sum(axis=0)
        return response
