"""A follower's answer that is linear in what it sees, with Gaussian noise, for a batch of runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearGaussianResponse:
    """What the follower plays against a ~ N(K x, W²), and what that is worth.

    With the leader's innovation ε = a - K x, which the follower sees before it acts,
    u ~ N(-K_x x - K_a C ε, Σ) and V_F(x, a) = -(xᵀ P x + 2 xᵀ P_xa C ε + (C ε)ᵀ P_aa C ε + v).

    Attributes:
        state_gain: K_x, shape (R, m, n).
        noise_gain: K_a, shape (R, m, n).
        covariance: Σ, shape (R, m, m).
        quadratic: P, shape (R, n, n).
        cross: P_xa, shape (R, n, n).
        noise: P_aa, shape (R, n, n).
        offset: v, shape (R,).
        accuracy: certified bound on the relative error of xᵀ P x, for every x, shape (R,).
        iterations: doublings used, shape (R,).
        steps: see `protocol.Certified`.
    """

    state_gain: Floats
    noise_gain: Floats
    covariance: Floats
    quadratic: Floats
    cross: Floats
    noise: Floats
    offset: Floats
    accuracy: Floats
    iterations: NDArray[np.int64]
    steps: int = 0

    def mean_action(
        self, problem: BilevelLQR, theta: Floats, state: Floats, leader_action: Floats
    ) -> Floats:
        """Mean of u, shape (R, ..., m).

        Args:
            problem: the bi-level problem.
            theta: the leader parameters that this answers, shape (R, D).
            state: x, shape (R, ..., n).
            leader_action: a, shape (R, ..., l).
        """
        push = pushed(problem, theta, state, leader_action)
        planned = matrix_vector(_over(self.state_gain, state), state)
        return -(planned + matrix_vector(_over(self.noise_gain, state), push))

    def value(
        self, problem: BilevelLQR, theta: Floats, state: Floats, leader_action: Floats
    ) -> Floats:
        """V_F(x, a), shape (R, ...); arguments as in `mean_action`."""
        push = pushed(problem, theta, state, leader_action)
        of_state = matrix_vector(_over(self.quadratic, state), state)
        of_both = matrix_vector(_over(self.cross, state), push)
        of_push = matrix_vector(_over(self.noise, state), push)
        cost = (state * (of_state + 2.0 * of_both) + push * of_push).sum(axis=-1)
        value: Floats = -(cost + self.offset.reshape(-1, *(1,) * (cost.ndim - 1)))
        return value


def _over(matrices: Floats, state: Floats) -> Floats:
    """Matrices (R, p, q) with an axis of length 1 for each axis of `state` between R and n."""
    return matrices.reshape(len(matrices), *(1,) * (state.ndim - 2), *matrices.shape[1:])


def pushed(problem: BilevelLQR, theta: Floats, state: Floats, leader_action: Floats) -> Floats:
    """C (a - K x), what the leader's innovation adds to the next state, shape (R, ..., n)."""
    expected = matrix_vector(_over(problem.gain(theta), state), state)
    return matrix_vector(problem.leader_matrix, leader_action - expected)
