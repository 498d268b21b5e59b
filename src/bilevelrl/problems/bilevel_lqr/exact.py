"""Ground truth in BilevelLQR: J(θ) and its hypergradient in closed form, without sampling."""

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.exact import Hypergradient
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.problems.bilevel_lqr.closed_loop import (
    ClosedLoop,
    add_sandwich,
    closed_loop,
    widened_target,
)
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR


@parallel_kernel
def _accumulate(  # type: ignore[no-untyped-def]
    matrix, covariance, matrix_slope, covariance_slope, initial, target, target_scale,
    discount, horizon, value, slope,
):  # fmt: skip
    # The state is N(m_t, V_t) with m ← M m and V ← M V Mᵀ + Ω; slopes go along, one per direction.
    # ∂ log E r = -wᵀ ∂m + ½ wᵀ ∂V w - ½ tr(S⁻¹ ∂V) with w = S⁻¹ (m - x*).
    num_runs, num_directions, n, _ = matrix_slope.shape
    for r in numba.prange(num_runs):
        mean, spread = initial.copy(), np.zeros((n, n))
        mean_slope, spread_slope = np.zeros((num_directions, n)), np.zeros((num_directions, n, n))
        precision, pull = np.empty((n, n)), np.empty(n)
        next_mean, next_spread = np.empty(n), np.empty((n, n))
        weight = 1.0
        for _ in range(horizon):
            amplitude = widened_target(target_scale, spread, precision)
            distance = 0.0
            for i in range(n):
                pull[i] = 0.0
                for j in range(n):
                    pull[i] += precision[i, j] * (mean[j] - target[j])
                distance += pull[i] * (mean[i] - target[i])
            reward = weight * amplitude * np.exp(-0.5 * distance)
            value[r] += reward
            for d in range(num_directions):
                next_mean[:] = change = 0.0
                next_spread[:] = covariance_slope[r, d]
                for i in range(n):
                    change -= pull[i] * mean_slope[d, i]
                    for j in range(n):
                        curvature = pull[i] * pull[j] - precision[i, j]
                        change += 0.5 * curvature * spread_slope[d, i, j]
                        next_mean[i] += matrix_slope[r, d, i, j] * mean[j]
                        next_mean[i] += matrix[r, i, j] * mean_slope[d, j]
                slope[r, d] += reward * change
                add_sandwich(matrix_slope[r, d], spread, matrix[r], next_spread)
                add_sandwich(matrix[r], spread, matrix_slope[r, d], next_spread)
                add_sandwich(matrix[r], spread_slope[d], matrix[r], next_spread)
                mean_slope[d] = next_mean
                spread_slope[d] = next_spread
            next_mean[:] = 0.0
            next_spread[:] = covariance[r]
            for i in range(n):
                for j in range(n):
                    next_mean[i] += matrix[r, i, j] * mean[j]
            add_sandwich(matrix[r], spread, matrix[r], next_spread)
            mean[:] = next_mean
            spread[:] = next_spread
            weight *= discount


def _leader_return(
    problem: BilevelLQR,
    loop: ClosedLoop,
    matrix_slope: Floats,
    covariance_slope: Floats,
    discount: float,
) -> tuple[Floats, Floats]:
    """J (R,) and its derivatives (R, D) along D directions of (M, Ω), both (R, D, n, n)."""
    value, slope = np.zeros(len(matrix_slope)), np.zeros(matrix_slope.shape[:2])
    arrays = (loop.matrix, loop.covariance, matrix_slope, covariance_slope)
    _accumulate(
        *(np.ascontiguousarray(array) for array in arrays),
        problem.initial_state, problem.target, problem.target_scale, discount,
        problem.max_episode_steps, value, slope,
    )  # fmt: skip
    return problem.leader_reward_scale * value, problem.leader_reward_scale * slope


def lqr_leader_return(
    problem: BilevelLQR, theta: Floats, response: LinearGaussianResponse, discount: float
) -> Floats:
    """J(θ) = E[Σ_t γᵗ r_L(x_t)] over an episode, shape (R,).

    Under linear-Gaussian policies x_t is Gaussian, and the mean of a Gaussian bump over a Gaussian
    is another bump.

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        response: what the follower plays.
        discount: γ, 1 for the plain sum.
    """
    loop = closed_loop(problem, theta, response)
    nowhere = np.empty((len(theta), 0, *problem.state_matrix.shape))
    return _leader_return(problem, loop, nowhere, nowhere, discount)[0]


def lqr_hypergradient(
    follower: MaxEntropyLQR, theta: Floats, response: LinearGaussianResponse, discount: float
) -> Hypergradient:
    """Differentiate J(θ) through the follower's Riccati equation.

    J depends on θ through the closed loop only, M = A + C K - B K_x, Ω = W² N Nᵀ + B Σ Bᵀ with
    N = (I - B K_a) C. For a change ∂K,

    * direct: the follower keeps its gains and the K of its noise term, so ∂M = N ∂K and ∂Ω = 0;
    * indirect: ∂M = -B ∂K_a Ã, and ∂Ω through ∂K_a and ∂Σ. By the implicit function theorem
      ∂P = Σ_k γᵏ (Mᵏ)ᵀ (∂ÃᵀP_aa Ã + Ãᵀ P_aa ∂Ã) Mᵏ; how the gain moves has no first-order effect
      on P, because it is optimal.

    Args:
        follower: of the bi-level problem.
        theta: leader parameters, shape (R, D).
        response: its best response to them.
        discount: γ of J, 1 for the plain sum.
    """
    problem = follower.problem
    loop = closed_loop(problem, theta, response)
    gamma, actuator = problem.follower_discount, problem.follower_matrix
    beta = follower.temperature[:, None, None, None]
    drift = (problem.state_matrix + problem.leader_matrix @ problem.gain(theta))[:, None]
    gain_slope = problem.gain(np.eye(problem.num_parameters))
    drift_slope = problem.leader_matrix @ gain_slope  # ∂Ã
    passed, shock = loop.action_matrix[:, None], response.covariance[:, None]

    bent = drift.mT @ response.noise[:, None] @ drift_slope
    cost_slope = discounted_sum(np.sqrt(gamma) * loop.matrix[:, None], bent + bent.mT)
    # S⁻¹ = 2 Σ / β.
    stays = np.eye(len(actuator)) - actuator @ response.noise_gain[:, None]
    noise_gain_slope = 2.0 * gamma / beta * shock @ actuator.T @ cost_slope @ stays
    shock_slope = -2.0 * gamma / beta * shock @ actuator.T @ cost_slope @ actuator @ shock
    passed_slope = -actuator @ noise_gain_slope @ problem.leader_matrix
    cross = np.square(problem.leader_noise) * passed_slope @ passed.mT
    indirect = -actuator @ noise_gain_slope @ drift
    direct = passed @ gain_slope
    spread = cross + cross.mT + actuator @ shock_slope @ actuator.T

    value, slope = _leader_return(
        problem,
        loop,
        np.concatenate([direct, indirect], axis=1),
        np.concatenate([np.zeros_like(spread), spread], axis=1),
        discount,
    )
    half = problem.num_parameters
    return Hypergradient(slope[:, :half], slope[:, half:], value)
