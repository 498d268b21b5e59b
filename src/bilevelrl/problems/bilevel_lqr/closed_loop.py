"""BilevelLQR under two linear-Gaussian policies: the state and all forecasts are Gaussian."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import kernel
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

Floats = NDArray[np.float64]


class LinearGaussianPolicy(Protocol):
    """A follower that plays u ~ N(-K_x x - K_a C (a - K x), Σ) against a leader a ~ N(K x, W²)."""

    @property
    def state_gain(self) -> Floats:
        """K_x, shape (R, m, n)."""
        ...

    @property
    def noise_gain(self) -> Floats:
        """K_a, shape (R, m, n); acts on what the leader's innovation a - K x does to the state."""
        ...

    @property
    def covariance(self) -> Floats:
        """Σ, shape (R, m, m)."""
        ...


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


def noise_of_runs(problem: BilevelLQR, leader_noise: Floats | None, num_runs: int) -> Floats:
    """W of each run, shape (R,): `leader_noise` where given, else the problem's.

    Raises:
        ValueError: if it is not one positive number per run.
    """
    if leader_noise is None:
        return np.full(num_runs, problem.leader_noise)
    if leader_noise.shape != (num_runs,) or not (leader_noise > 0.0).all():
        raise ValueError(f"leader_noise must be {num_runs} positive numbers, got {leader_noise}")
    return leader_noise


def closed_loop(
    problem: BilevelLQR,
    theta: Floats,
    follower: LinearGaussianPolicy,
    *,
    leader_noise: Floats | None = None,
    answered: Floats | None = None,
) -> ClosedLoop:
    """The loop of a leader θ and a follower.

    M = A + C K - B (K_x + K_a C (K - K°)) and N = (I - B K_a) C, where K° is the leader's gain that
    the follower expects. Given (x, a), x' spreads by B Σ Bᵀ; given x, by W² N Nᵀ more.

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        follower: what the follower plays.
        leader_noise: W of each run, shape (R,); the problem's if omitted.
        answered: the θ that `follower` answers, shape (R, D); `theta` if omitted.
    """
    gain = problem.gain(theta)
    noise = noise_of_runs(problem, leader_noise, len(theta))[:, None, None]
    actuator, leader_matrix = problem.follower_matrix, problem.leader_matrix
    passed = leader_matrix - actuator @ (follower.noise_gain @ leader_matrix)
    matrix = problem.state_matrix + leader_matrix @ gain - actuator @ follower.state_gain
    if answered is not None:
        innovation = leader_matrix @ (gain - problem.gain(answered))
        matrix = matrix - actuator @ (follower.noise_gain @ innovation)
    spread = actuator @ follower.covariance @ actuator.T
    return ClosedLoop(matrix, passed, spread, noise**2 * (passed @ passed.mT) + spread)


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
