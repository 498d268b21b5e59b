"""What charges do to travel, exactly: objectives of the planner and their hypergradients.

Costs c = t(w) + θ move flows, which move times again: dc = (I - diag(t') W)⁻¹ dθ with W = ∂w/∂c.
For a loss of charges, flows and expected costs, by one adjoint system with a row per link,

    d loss/dθ = ∂_θ loss + (I - W diag(t'))⁻¹ b,    b = W ∂_w loss + ∂_c loss,

where ∂_c loss goes through the expected costs τ: ∂(Σ q τ)/∂c = w. W is a covariance: trips are
drawn from a Gibbs distribution over paths, so that with n the links of a trip, counted,

    W(a, b) = -β_r Σ q Cov(n_a, n_b | origin, destination).

The response b alone is what an estimator of other problems would find, one that takes the other
travellers for a fixed environment.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.models.network_flow.equilibrium import Equilibrium

#: Of the adjoint system, relative to its right side.
_ACCURACY = 1e-13


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """A loss of R runs and its partial derivatives.

    Attributes:
        loss: in vehicle-minutes, shape (R,).
        of_theta: ∂loss/∂θ, shape (R, L).
        of_flow: ∂loss/∂w, shape (R, L).
        of_cost: ∂loss/∂c through the expected costs, shape (R, L).
    """

    loss: Floats
    of_theta: Floats
    of_flow: Floats
    of_cost: Floats


class Flows(Protocol):
    """Charges, flows and delays of R runs: those of an `Equilibrium`, or what was seen of one."""

    @property
    def theta(self) -> Floats:
        """Charge on each link in minutes, shape (R, L)."""

    @property
    def flow(self) -> Floats:
        """Vehicles w, shape (R, L)."""

    @property
    def time(self) -> Floats:
        """t(w) in minutes, shape (R, L)."""

    @property
    def slope(self) -> Floats:
        """t'(w) in minutes per vehicle, shape (R, L)."""

    @property
    def total_cost(self) -> Floats:
        """Σ q τ in vehicle-minutes, shape (R,), NaN where nobody knows it."""


class Objective(Protocol):
    """What a planner wants to be small."""

    def __call__(self, reached: Flows) -> Sensitivity:
        """The loss and its partial derivatives there."""


def travel_time(reached: Flows) -> Sensitivity:
    """Total travel time w · t(w), charges left out."""
    flow, time = reached.flow, reached.time
    nothing = np.zeros_like(flow)
    return Sensitivity(_sums(flow * time), nothing, time + flow * reached.slope, nothing)


def net_cost(reached: Flows) -> Sensitivity:
    """Expected costs less revenue, Σ q τ - θ · w: minus the social surplus.

    If every link can be charged, θ = w t'(w) minimises it (Yang 1999), see `marginal_costs`.
    """
    flow, theta = reached.flow, reached.theta
    return Sensitivity(reached.total_cost - _sums(theta * flow), -flow, -theta, flow)


def exact_hypergradient(objective: Objective, reached: Equilibrium) -> Hypergradient:
    """Both parts of dJ/dθ, each (R, L), and J (R,), which is minus the loss."""
    found = objective(reached)
    response = _responses(reached, found)
    indirect = [
        loading.feedback(slope, right, _ACCURACY)
        for loading, slope, right in zip(reached.loadings, reached.slope, response, strict=True)
    ]
    return Hypergradient(-found.of_theta, -np.array(indirect), -found.loss)


def without_adjoint(objective: Objective, reached: Equilibrium) -> Hypergradient:
    """The same with b in place of (I - W diag(t'))⁻¹ b: times stay, whatever others do.

    It is no gradient. The direct part is that of `exact_hypergradient`.
    """
    found = objective(reached)
    return Hypergradient(-found.of_theta, -_responses(reached, found), -found.loss)


def _responses(reached: Equilibrium, found: Sensitivity) -> Floats:
    product = [
        loading.product(right)
        for loading, right in zip(reached.loadings, found.of_flow, strict=True)
    ]
    response: Floats = np.array(product) + found.of_cost
    return response


def _sums(terms: Floats) -> Floats:
    return np.array([row.sum() for row in terms])
