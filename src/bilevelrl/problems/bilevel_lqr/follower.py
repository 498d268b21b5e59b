"""The exact best response in BilevelLQR: a maximum-entropy linear-quadratic regulator."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.linear_gaussian.checks import check_temperature
from bilevelrl.models.linear_gaussian.riccati import Regulator, check_accuracy, symmetric
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector


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
    iterations: Index
    steps: int = 0

    def mean_action(
        self, problem: BilevelLQR, theta: Floats, state: Floats, leader_action: Floats
    ) -> Floats:
        """Mean of u, shape (R, ..., m), at x (R, ..., n) and a (R, ..., l).

        θ, shape (R, D), is the one that this answers.
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


@dataclass(frozen=True, eq=False)
class MaxEntropyLQR:
    """Solves the follower's entropy-regularised problem to a certified accuracy.

    The follower sees a before it acts, so the leader's gain is part of the drift A + C K of a
    `riccati.Regulator`; the leader's noise moves the offset v alone.

    Attributes:
        problem: the bi-level problem.
        temperature: β of each run, shape (R,).
        tolerance: bound on the relative error of the costs xᵀ P x, for every x.
        max_iterations: doublings allowed before giving up.

    Raises:
        ValueError: if temperatures are not one positive number per run.
    """

    problem: BilevelLQR
    temperature: Floats
    tolerance: float = 1e-10
    max_iterations: int = 50

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def respond(self, theta: Floats) -> LinearGaussianResponse:
        """The best response to θ, shape (R, D).

        Raises:
            NotConverged: if a run misses the tolerance, as it must where no follower can keep its
                discounted costs finite.
        """
        problem, gamma = self.problem, self.problem.follower_discount
        actuator, beta = problem.follower_matrix, self.temperature
        drift = problem.state_matrix + problem.leader_matrix @ problem.gain(theta)
        regulator = Regulator(
            actuator, problem.state_cost, problem.control_cost, gamma, self.max_iterations
        )
        solution = regulator.solve(drift)
        quadratic = solution.quadratic
        curvature = regulator.curvature(quadratic)
        inverse = np.linalg.inv(curvature)
        noise_gain = gamma * (inverse @ (actuator.T @ quadratic))
        # P_aa = γP - γ²PB S⁻¹ BᵀP as a sum of squares, which does not cancel.
        stays = np.eye(len(actuator)) - actuator @ noise_gain
        effort = noise_gain.mT @ problem.control_cost @ noise_gain
        noise = symmetric(gamma * (stays.mT @ quadratic @ stays) + effort)
        state_gain = noise_gain @ drift

        pushed = (problem.leader_matrix * (noise @ problem.leader_matrix)).sum(axis=(1, 2))
        volume = actuator.shape[1] * np.log(np.pi * beta) - np.linalg.slogdet(curvature)[1]
        answer = LinearGaussianResponse(
            state_gain=state_gain,
            noise_gain=noise_gain,
            covariance=0.5 * beta[:, None, None] * inverse,
            quadratic=quadratic,
            cross=drift.mT @ noise,
            noise=noise,
            offset=(gamma * np.square(problem.leader_noise) * pushed - 0.5 * beta * volume)
            / (1.0 - gamma),
            accuracy=regulator.accuracy(quadratic, drift, state_gain),
            iterations=solution.iterations,
        )
        check_accuracy(answer.accuracy, answer.iterations, theta, self.tolerance)
        return answer
