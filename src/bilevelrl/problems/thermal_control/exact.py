"""Ground truth in building thermal control: J, its parts and its hypergradient in closed form.

The closed loop is linear and Gaussian with mean zero, so J needs second moments only. The clip of
the state at its limit is ignored; it binds where the closed loop is unstable.
"""

from dataclasses import dataclass, replace

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Exact, Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.building import Building
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator


def spread_over(zones: int) -> Floats:
    """The matrix of the population variance over zones, shape (n, n)."""
    return (np.eye(zones) - 1.0 / zones) / zones


def leader_cost(problem: Building, response: RegulatorResponse) -> Floats:
    """What the leader pays for a state under the follower's policy, less tr Σ, shape (R, n, n)."""
    spread = problem.stability_weight * spread_over(problem.design.num_zones)
    cost: Floats = spread + problem.energy_weight * (response.gain.mT @ response.gain)
    return cost


def disturbance(problem: Building, response: RegulatorResponse) -> Floats:
    """Covariance that a step adds to the state, B Σ Bᵀ + σ² I, shape (R, n, n)."""
    actuator = problem.input_matrix
    added: Floats = actuator @ response.covariance @ actuator.T
    return added + problem.noise**2 * np.eye(problem.design.num_zones)


@dataclass(frozen=True, eq=False)
class LoopSums:
    """Discounted sums over an episode along the closed loop F = A - B K.

    Attributes:
        moment: Z = Σ_t γ^t M_t, M_t the second moment of s_t, shape (R, n, n).
        flow: Σ_t γ^{t+1} X_{t+1} F M_t, X_t the leader's cost to go at step t, shape (R, n, n).
        effort: Σ_t γ^t (k_E I + γ Bᵀ X_{t+1} B), shape (R, m, m).
        steps: Σ_t γ^t.
    """

    moment: Floats
    flow: Floats
    effort: Floats
    steps: float


def loop_sums(problem: Building, theta: Floats, response: RegulatorResponse) -> LoopSums:
    """The sums under θ, shape (R, D), and the follower's answer."""
    gamma, actuator, horizon = problem.discount, problem.input_matrix, problem.max_episode_steps
    closed = problem.dynamics(theta) - actuator @ response.gain
    cost, added = leader_cost(problem, response), disturbance(problem, response)
    moment, flow = np.empty_like(closed), np.empty_like(closed)
    effort = np.empty_like(response.covariance)
    start, own = problem.initial_deviation**2, problem.energy_weight
    _sum_up(closed, cost, added, actuator, start, own, gamma, horizon, moment, flow, effort)
    return LoopSums(moment, flow, effort, (1.0 - gamma**horizon) / (1.0 - gamma))


@kernel
def _multiply(left, right, result):  # type: ignore[no-untyped-def]
    # Of a few rows and columns, for which a library's call takes longer than the sums.
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            total = 0.0
            for k in range(left.shape[1]):
                total += left[i, k] * right[k, j]
            result[i, j] = total


@parallel_kernel
def _sum_up(  # type: ignore[no-untyped-def]
    closed, cost, added, actuator, start, own, gamma, horizon, moment, flow, effort
):
    zones, units = actuator.shape
    for r in numba.prange(len(closed)):
        loop, forward, backward = closed[r], closed[r].T, actuator.T
        moment[r], flow[r], effort[r] = 0.0, 0.0, 0.0
        ahead = np.zeros((horizon, zones, zones))  # X_T, X_{T-1}, ..., X_1
        half, moved = np.empty((zones, zones)), np.empty((zones, zones))
        square = np.empty((zones, zones))
        pushed, held = np.empty((zones, units)), np.empty((units, units))
        for t in range(1, horizon):
            _multiply(forward, ahead[t - 1], half)
            _multiply(half, loop, square)
            ahead[t] = cost[r] + gamma * square
        now, weight = start * np.eye(zones), 1.0
        for t in range(horizon):
            to_go = ahead[horizon - 1 - t]
            _multiply(loop, now, moved)
            _multiply(to_go, moved, square)
            _multiply(to_go, actuator, pushed)
            _multiply(backward, pushed, held)
            for i in range(zones):
                for j in range(zones):
                    moment[r, i, j] += weight * now[i, j]
                    flow[r, i, j] += weight * gamma * square[i, j]
            for i in range(units):
                effort[r, i, i] += weight * own
                for j in range(units):
                    effort[r, i, j] += weight * gamma * held[i, j]
            _multiply(moved, forward, square)
            now[:] = square + added[r]
            weight *= gamma


def components(problem: Building, theta: Floats, response: RegulatorResponse) -> dict[str, Floats]:
    """Discounted sums over an episode of Var(s) (negative), |a|², |α|² and |β|², each (R,).

    θ is of shape (R, D), `response` the follower's answer; J weighs the sums, see `weighted`.
    """
    sums = loop_sums(problem, theta, response)
    played = response.gain @ sums.moment @ response.gain.mT + sums.steps * response.covariance
    insulation, airflow = problem.design.levels(theta)
    return {
        "stability": -(spread_over(problem.design.num_zones) * sums.moment).sum(axis=(1, 2)),
        "energy": np.trace(played, axis1=1, axis2=2),
        "insulation": sums.steps * np.square(insulation).sum(axis=1),
        "airflow": sums.steps * np.square(airflow).sum(axis=1),
    }


def weighted(problem: Building, parts: dict[str, Floats]) -> Floats:
    """J from its `components`, shape (R,)."""
    return (
        problem.stability_weight * parts["stability"]
        - problem.energy_weight * parts["energy"]
        - problem.design.insulation_weight * parts["insulation"]
        - problem.design.airflow_weight * parts["airflow"]
    )


def thermal_hypergradient(
    follower: ThermalRegulator, theta: Floats, response: RegulatorResponse
) -> Hypergradient:
    """dJ/dθ by differentiating the closed form through the Riccati fixed point.

    θ is of shape (R, D), `response` the follower's best one to it; the direct part includes the
    cost of the design itself.
    """
    problem = follower.problem
    sums, slopes = loop_sums(problem, theta, response), follower.slopes(theta, response)
    cost = -sums.steps * problem.design.configuration_cost_slope(theta)
    direct = -2.0 * (problem.dynamics_slopes(theta) * sums.flow[:, None]).sum(axis=(2, 3))
    by_gain = problem.energy_weight * (response.gain @ sums.moment)
    by_gain = by_gain - problem.input_matrix.T @ sums.flow
    indirect = -2.0 * (slopes.gain * by_gain[:, None]).sum(axis=(2, 3))
    indirect -= (slopes.covariance * sums.effort[:, None]).sum(axis=(2, 3))
    value = weighted(problem, components(problem, theta, response))
    return Hypergradient(cost + direct, indirect, value)


def spectral_radius(problem: Building, theta: Floats, response: RegulatorResponse) -> Floats:
    """Largest |eigenvalue| of the closed loop, shape (R,); above 1 deviations grow."""
    closed = problem.dynamics(theta) - problem.input_matrix @ response.gain
    radius: Floats = np.abs(np.linalg.eigvals(closed)).max(axis=1)
    return radius


class ExactNaive(Exact[RegulatorResponse]):
    """Ascent along the exact direct part alone: a Naive-PGD without noise."""

    def estimate(
        self, theta: Floats, response: RegulatorResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The direct part; costs no samples."""
        found = super().estimate(theta, response, memory, streams)
        return replace(found, indirect=np.zeros_like(found.indirect))
