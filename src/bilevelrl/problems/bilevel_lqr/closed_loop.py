"""BilevelLQR under two linear-Gaussian policies: the state and all forecasts are Gaussian."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """The state's own law of motion.

    Attributes:
        matrix: M of E[x' | x] = M x, shape (R, n, n).
        action_matrix: N of E[x' | x, a] = M x + N (a - K x), shape (R, n, l).
        follower_covariance: of x' given (x, a), shape (R, n, n).
        covariance: of x' given x, shape (R, n, n).
    """

    matrix: Floats
    action_matrix: Floats
    follower_covariance: Floats
    covariance: Floats


def closed_loop(
    problem: BilevelLQR,
    theta: Floats,
    follower: LinearGaussianResponse,
    dynamics: tuple[Floats, Floats, Floats] | None = None,
) -> ClosedLoop:
    """The loop of a leader θ and a follower that answers it.

    M = A + C K - B K_x and N = (I - B K_a) C. Given (x, a), x' spreads by B Σ Bᵀ; given x, by
    W² N Nᵀ more.

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        follower: what the follower plays; it reacts to C (a - K x) with the C of the problem.
        dynamics: A, B and C, shapes (R, n, n), (R, n, m), (R, n, l); the problem's if omitted.
    """
    if dynamics is None:
        dynamics = problem.state_matrix, problem.follower_matrix, problem.leader_matrix
    own, actuator, leader = dynamics
    passed = leader - actuator @ (follower.noise_gain @ problem.leader_matrix)
    matrix = own + leader @ problem.gain(theta) - actuator @ follower.state_gain
    spread = actuator @ follower.covariance @ actuator.mT
    noise = np.square(problem.leader_noise)
    return ClosedLoop(matrix, passed, spread, noise * (passed @ passed.mT) + spread)


@kernel
def add_sandwich(left, middle, right, total):  # type: ignore[no-untyped-def]
    """Add L V Rᵀ to `total`, all of shape (n, n)."""
    n = len(total)
    for i in range(n):
        for k in range(n):
            product = 0.0
            for j in range(n):
                product += left[i, j] * middle[j, k]
            for j in range(n):
                total[i, j] += product * right[j, k]


@kernel
def widened_target(target_scale, covariance, precision):  # type: ignore[no-untyped-def]
    """Average the leader's reward over a Gaussian state.

    E exp(-½ Σ_i (x_i - x*_i)² / σ_i²) = amplitude · exp(-½ eᵀ S⁻¹ e) for x ~ N(x* + e, V), with
    S = D + V, D = diag σ², and amplitude = √(det D / det S). In units of σ, S is I + V, whose
    Cholesky pivots are at least 1 whatever V; rounding may not bring them below.

    Args:
        target_scale: σ, shape (n,).
        covariance: V, shape (n, n).
        precision: filled with S⁻¹, shape (n, n).

    Returns:
        The amplitude.
    """
    n = len(target_scale)
    lower, inverse = np.zeros((n, n)), np.zeros((n, n))
    amplitude = 1.0
    for j in range(n):
        for i in range(j, n):
            entry = covariance[i, j] / (target_scale[i] * target_scale[j])
            for k in range(j):
                entry -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(max(1.0 + entry, 1.0)) if i == j else entry / lower[j, j]
        amplitude /= lower[j, j]
    for j in range(n):
        inverse[j, j] = 1.0 / lower[j, j]
        for i in range(j + 1, n):
            entry = 0.0
            for k in range(j, i):
                entry -= lower[i, k] * inverse[k, j]
            inverse[i, j] = entry / lower[i, i]
    for i in range(n):
        for j in range(n):
            precision[i, j] = 0.0
            for k in range(max(i, j), n):
                precision[i, j] += inverse[k, i] * inverse[k, j]
            precision[i, j] /= target_scale[i] * target_scale[j]
    return amplitude
