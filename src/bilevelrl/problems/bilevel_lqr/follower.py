"""The exact best response in BilevelLQR: a maximum-entropy linear-quadratic regulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.linear_gaussian.riccati import Regulator, check_accuracy, symmetric
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.response import LinearGaussianResponse

Floats = NDArray[np.float64]


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
        if self.temperature.ndim != 1 or not (self.temperature > 0.0).all():
            raise ValueError(f"temperature must be one positive number a run: {self.temperature}")

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
