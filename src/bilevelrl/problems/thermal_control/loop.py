"""What a policy a ~ N(-K s, Σ) costs the leader of building thermal control, and what it shakes."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import LinearPolicy

Floats = NDArray[np.float64]


def leader_cost(problem: ThermalControl, policy: LinearPolicy) -> Floats:
    """What the leader pays for a state under the follower's policy, less tr Σ, shape (R, n, n)."""
    zones = problem.num_zones
    spread = (np.eye(zones) - 1.0 / zones) / zones
    cost: Floats = problem.stability_weight * spread + problem.energy_weight * (
        policy.gain.mT @ policy.gain
    )
    return cost


def disturbance(problem: ThermalControl, policy: LinearPolicy) -> Floats:
    """Covariance that a step adds to the state, B Σ Bᵀ + σ² I, shape (R, n, n)."""
    actuator = problem.input_matrix
    added: Floats = actuator @ policy.covariance @ actuator.T
    return added + problem.noise**2 * np.eye(problem.num_zones)
