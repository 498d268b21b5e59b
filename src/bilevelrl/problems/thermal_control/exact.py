"""Ground truth in building thermal control: J, its parts and its hypergradient in closed form.

The closed loop is linear and Gaussian with mean zero, so J needs second moments only. The clip of
the state at its limit is ignored; it binds where the closed loop is unstable.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Differentiable, Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.loop import disturbance, leader_cost
from bilevelrl.problems.thermal_control.problem import ThermalControl

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LoopSums:
    """Discounted sums along the closed loop F = A - B K, over an episode or without end.

    Attributes:
        closed: F, shape (R, n, n).
        moment: Z = Σ_t γ^t M_t, M_t the second moment of s_t, shape (R, n, n).
        flow: Σ_t γ^{t+1} X_{t+1} F M_t, X_t the leader's cost to go at step t, shape (R, n, n).
        effort: Σ_t γ^t (k_E I + γ Bᵀ X_{t+1} B), shape (R, m, m).
        steps: Σ_t γ^t.
    """

    closed: Floats
    moment: Floats
    flow: Floats
    effort: Floats
    steps: float


def loop_sums(
    problem: ThermalControl, theta: Floats, response: RegulatorResponse, horizon: int | None
) -> LoopSums:
    """Sums over `horizon` steps, or over all of time if None.

    Args:
        problem: the bi-level problem.
        theta: shape (R, D).
        response: the follower's answer.
        horizon: steps.
    """
    gamma, actuator = problem.discount, problem.input_matrix
    closed = problem.dynamics(theta) - actuator @ response.gain
    cost, added = leader_cost(problem, response), disturbance(problem, response)
    zones, units = actuator.shape
    first = np.broadcast_to(problem.initial_deviation**2 * np.eye(zones), closed.shape)
    own = problem.energy_weight * np.eye(units)
    if horizon is None:
        steps = 1.0 / (1.0 - gamma)
        damped = np.sqrt(gamma) * closed
        to_go = discounted_sum(damped, cost)
        moment = discounted_sum(damped.mT, first + gamma * steps * added)
        flow = gamma * (to_go @ closed @ moment)
        return LoopSums(
            closed, moment, flow, steps * (own + gamma * (actuator.T @ to_go @ actuator)), steps
        )
    following = [np.zeros_like(cost)]  # X_T, X_{T-1}, ..., X_1
    for _ in range(horizon - 1):
        following.append(cost + gamma * (closed.mT @ following[-1] @ closed))
    moment, flow = np.zeros_like(closed), np.zeros_like(closed)
    effort = np.zeros((len(theta), units, units))
    now, weight = first, 1.0
    for to_go in reversed(following):
        moment = moment + weight * now
        flow = flow + weight * gamma * (to_go @ closed @ now)
        effort = effort + weight * (own + gamma * (actuator.T @ to_go @ actuator))
        now = closed @ now @ closed.mT + added
        weight *= gamma
    return LoopSums(closed, moment, flow, effort, (1.0 - gamma**horizon) / (1.0 - gamma))


def components(
    problem: ThermalControl, theta: Floats, response: RegulatorResponse, horizon: int | None
) -> dict[str, Floats]:
    """Discounted sums of Var(s) (negative), |a|², |α|² and |β|², each (R,); J weighs them.

    Args:
        problem: the bi-level problem.
        theta: shape (R, D).
        response: the follower's answer.
        horizon: steps of an episode; None is without end.
    """
    sums = loop_sums(problem, theta, response, horizon)
    zones = problem.num_zones
    spread = (np.eye(zones) - 1.0 / zones) / zones
    played = response.gain @ sums.moment @ response.gain.mT + sums.steps * response.covariance
    insulation, airflow = problem.levels(theta)
    return {
        "stability": -(spread * sums.moment).sum(axis=(1, 2)),
        "energy": np.trace(played, axis1=1, axis2=2),
        "insulation": sums.steps * np.square(insulation).sum(axis=1),
        "airflow": sums.steps * np.square(airflow).sum(axis=1),
    }


def weighted(problem: ThermalControl, parts: dict[str, Floats]) -> Floats:
    """J from its `components`, shape (R,)."""
    return (
        problem.stability_weight * parts["stability"]
        - problem.energy_weight * parts["energy"]
        - problem.insulation_weight * parts["insulation"]
        - problem.airflow_weight * parts["airflow"]
    )


@dataclass(frozen=True, eq=False)
class ThermalHypergradient(Hypergradient):
    """`direct` includes the cost of the design itself.

    Attributes:
        cost: that part of `direct`, shape (R, D).
    """

    cost: Floats


def thermal_hypergradient(
    follower: ThermalRegulator, theta: Floats, response: RegulatorResponse, horizon: int | None
) -> ThermalHypergradient:
    """dJ/dθ by differentiating the closed form through the Riccati fixed point.

    Args:
        follower: knows the problem and the temperature.
        theta: shape (R, D).
        response: its best response to θ.
        horizon: steps of an episode; None is without end.
    """
    problem = follower.problem
    sums, slopes = loop_sums(problem, theta, response, horizon), follower.slopes(theta, response)
    parts = components(problem, theta, response, horizon)
    cost = -sums.steps * problem.configuration_cost_slope(theta)
    direct = -2.0 * problem.pull_back_dynamics(theta, sums.flow)
    by_gain = problem.energy_weight * (response.gain @ sums.moment)
    by_gain = by_gain - problem.input_matrix.T @ sums.flow
    indirect = -2.0 * (slopes.gain * by_gain[:, None]).sum(axis=(2, 3))
    indirect -= (slopes.covariance * sums.effort[:, None]).sum(axis=(2, 3))
    return ThermalHypergradient(cost + direct, indirect, weighted(problem, parts), cost)


def spectral_radius(problem: ThermalControl, theta: Floats, response: RegulatorResponse) -> Floats:
    """Largest |eigenvalue| of the closed loop, shape (R,); above 1 deviations grow."""
    closed = problem.dynamics(theta) - problem.input_matrix @ response.gain
    radius: Floats = np.abs(np.linalg.eigvals(closed)).max(axis=1)
    return radius


@dataclass(frozen=True, eq=False)
class ExactNaive:
    """Ascent along the exact direct part alone: a Naive-PGD without noise.

    Attributes:
        game: supplies the hypergradient.
    """

    game: Differentiable[RegulatorResponse]

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: RegulatorResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The direct part; costs no samples."""
        del memory, streams
        truth = self.game.hypergradient(theta, response)
        nothing = np.full(len(theta), np.nan)
        return Estimate(truth.direct, np.zeros_like(truth.indirect), nothing)
