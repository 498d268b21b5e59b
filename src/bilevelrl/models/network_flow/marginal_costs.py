"""Marginal-cost pricing, the best charges there are if every link may have one."""

from dataclasses import replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.network import Network


def marginal_costs(
    network: Network, rationality: Floats, *, tolerance: float = 1e-12
) -> Equilibrium:
    """The equilibrium under θ = w t'(w), which minimises Σ q τ - θ · w (Yang 1999).

    Everybody then pays for the time that all others lose. It is the equilibrium of a network with
    the delays t + w t' = t0 (1 + B (1 + power) (w / capacity)^power) and without charges; the
    fixed-point iteration θ <- w t'(w) need not converge. `rationality` has shape (R,); the charges
    found are `Equilibrium.theta`, shape (R, L).

    Raises:
        Refused: see `equilibrium`.
        NotConverged: see there.
    """
    felt = replace(network, congestion=network.congestion * (1.0 + network.power))
    nothing = np.zeros((len(rationality), network.num_links))
    flow = equilibrium(felt, nothing, rationality, tolerance=tolerance).flow
    theta: Floats = flow * network.slope(flow)
    return equilibrium(network, theta, rationality, flow, tolerance=tolerance)
