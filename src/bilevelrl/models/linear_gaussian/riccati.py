"""Discounted linear-quadratic regulators, solved to a certified accuracy, for a batch of runs."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import NotConverged
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum

_DIVERGED = 1e16  # a cost-to-go beyond this hides the cost of a step in its rounding
_LAST_STEP = 1e-9  # convergence is quadratic: what is left is its square


@dataclass(frozen=True, eq=False)
class Solution:
    """What a regulator spends.

    Attributes:
        quadratic: P of the costs xᵀ P x, shape (R, n, n).
        iterations: doublings used, shape (R,).
    """

    quadratic: Floats
    iterations: Index


@dataclass(frozen=True, eq=False)
class Regulator:
    """min_u Σ_t γᵗ (xᵀ Q x + uᵀ R u) with x' = A x + B u, for many A at once.

    Value iteration P ← Q + γ AᵀPA - γ² AᵀPB S⁻¹ BᵀPA from P = 0 with S = R + γ BᵀPB; only iterates
    number 2, 4, 8, ... are computed (the structure-preserving doubling algorithm of Chu, Fan and
    Lin, 2004), which converges quadratically, from below.

    Playing the gain that P suggests costs P_K = P + Σ_k γᵏ (Mᵏ)ᵀ Δ Mᵏ, where M is the closed loop
    and Δ what one step more adds to P. Hence P ≤ P* ≤ P_K ≤ (1 + accuracy) P: in coordinates in
    which P is the identity, accuracy = ‖Δ‖ ‖Σ_k γᵏ (Mᵏ)ᵀ Mᵏ‖ in Frobenius norms. A nearly
    uncontrollable system, with costs of 10¹⁴ in one direction and 1 in another, passes as well.

    Attributes:
        actuator: B, shape (n, m).
        state_cost: Q, symmetric positive definite, shape (n, n).
        control_cost: R, symmetric positive definite, shape (m, m).
        discount: γ < 1.
        max_iterations: doublings allowed before giving up.
    """

    actuator: Floats
    state_cost: Floats
    control_cost: Floats
    discount: float
    max_iterations: int = 50

    def solve(self, drift: Floats) -> Solution:
        """P for every A of `drift`, shape (R, n, n)."""
        # P after 2ᵏ steps, with the propagator and the controllability of these steps. Runs that
        # are done stay as they are, so that none depends on the others.
        matrix = np.sqrt(self.discount) * drift
        reach = self.discount * (
            self.actuator @ np.linalg.solve(self.control_cost, self.actuator.T)
        )
        reach = np.broadcast_to(reach, drift.shape)
        cost = np.broadcast_to(self.state_cost, drift.shape)
        iterations = np.zeros(len(drift), dtype=np.int64)
        going = np.ones(len(drift), dtype=bool)
        for _ in range(self.max_iterations):
            loop = np.where(going[:, None, None], reach @ cost, 0.0)
            spread = np.linalg.inv(np.eye(drift.shape[1]) + loop)
            step = symmetric(matrix.mT @ cost @ spread @ matrix)
            reach = reach + symmetric(matrix @ spread @ reach @ matrix.mT)
            matrix = np.where(going[:, None, None], matrix @ spread @ matrix, 0.0)
            cost = np.where(going[:, None, None], cost + step, cost)
            iterations += going
            size = _norm(cost)
            going = going & (_norm(step) > _LAST_STEP * size) & (size < _DIVERGED)
            if not going.any():
                break
        return Solution(cost, iterations)

    def policy_cost(self, drift: Floats, gain: Floats) -> Floats:
        """P of the policy u = -K x (R, m, n), shape (R, n, n).

        A step of policy iteration (Kleinman 1968) from an almost optimal gain: a sum of positive
        terms, which removes what the doublings have rounded.
        """
        closed = np.sqrt(self.discount) * (drift - self.actuator @ gain)
        return symmetric(
            discounted_sum(closed, self.state_cost + gain.mT @ self.control_cost @ gain)
        )

    def gain(self, quadratic: Floats, drift: Floats) -> Floats:
        """K = γ S⁻¹ BᵀPA, shape (R, m, n)."""
        pushed = self.actuator.T @ quadratic @ drift
        solved = np.linalg.solve(self.curvature(quadratic), pushed)
        return np.asarray(self.discount * solved, dtype=np.float64)

    def curvature(self, quadratic: Floats) -> Floats:
        """S = R + γ BᵀPB, shape (R, m, m)."""
        reached: Floats = self.actuator.T @ quadratic @ self.actuator
        return self.control_cost + self.discount * reached

    def accuracy(self, quadratic: Floats, drift: Floats, gain: Floats) -> Floats:
        """See the class; shape (R,) for P (R, n, n), A (R, n, n) and K of u = -K x, (R, m, n).

        A P from `policy_cost` lies above P*; the bound then holds to first order only.
        """
        # P ≥ Q, whatever rounding does to the small eigenvalues of a huge P.
        closed = drift - self.actuator @ gain
        size, direction = np.linalg.eigh(quadratic)
        size = np.sqrt(np.maximum(size, np.linalg.eigvalsh(self.state_cost).min()))[:, None]
        back = direction / size
        loop = np.sqrt(self.discount) * ((direction * size).mT @ closed @ back)
        effort = back.mT @ (gain.mT @ self.control_cost @ gain) @ back
        identity = np.broadcast_to(np.eye(len(self.state_cost)), loop.shape)
        step = back.mT @ self.state_cost @ back + effort + loop.mT @ loop - identity
        return _norm(step) * _norm(discounted_sum(loop, identity))


def check_accuracy(accuracy: Floats, iterations: Index, theta: Floats, tolerance: float) -> None:
    """Refuse answers to θ, shape (R, D), whose accuracy, shape (R,), misses the tolerance.

    Raises:
        NotConverged: naming the worst run, its θ and the doublings that it used.
    """
    if not np.all(accuracy <= tolerance):
        worst = int(np.argmax(np.where(np.isnan(accuracy), np.inf, accuracy)))
        raise NotConverged(
            f"best response of run {worst} to θ = {theta[worst].tolist()} is only accurate to "
            f"{accuracy[worst]:.2e} (tolerance {tolerance:.2e}) after {iterations[worst]} doublings"
        )


def symmetric(matrix: Floats) -> Floats:
    """Half of a stack of matrices and half of its transpose."""
    return 0.5 * (matrix + matrix.mT)


def _norm(matrix: Floats) -> Floats:
    """Frobenius norm of each matrix of a stack."""
    norm: Floats = np.sqrt(np.square(matrix).sum(axis=(-2, -1)))
    return norm
