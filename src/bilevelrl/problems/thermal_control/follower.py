"""The exact best response in building thermal control, and its derivative in the design."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.linear_gaussian.checks import check_temperature
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.models.linear_gaussian.riccati import Regulator, check_accuracy
from bilevelrl.problems.thermal_control.building import Building


@dataclass(frozen=True, eq=False)
class RegulatorResponse:
    """a ~ N(m(s), Σ), m(s) = -K s unless something else is believed, V_F(s) = -(sᵀ P s + v).

    Attributes:
        gain: K, shape (R, m, n); where m is not linear, of the line closest to it.
        covariance: Σ, shape (R, m, m).
        quadratic: P, shape (R, n, n).
        offset: v, shape (R,).
        accuracy: certified bound on the relative error of sᵀ P s, for every s, shape (R,).
        iterations: doublings used, shape (R,).
        steps: see `core.follower.Certified`.
        curve: m, from s (R, N, n), where it is not linear.
    """

    gain: Floats
    covariance: Floats
    quadratic: Floats
    offset: Floats
    accuracy: Floats
    iterations: Index
    steps: int = 0
    curve: Callable[[Floats], Floats] | None = None

    def mean(self, state: Floats) -> Floats:
        """The mean m(s), shape (R, N, m), for s (R, N, n)."""
        return -(state @ self.gain.mT) if self.curve is None else self.curve(state)

    def value(self, state: Floats) -> Floats:
        """V_F(s), shape (R, N), for s (R, N, n)."""
        cost: Floats = (state * (state @ self.quadratic)).sum(axis=2)
        return -(cost + self.offset[:, None])

    def value_slope(self, state: Floats) -> Floats:
        """∂V_F/∂s, shape (R, N, n), for s (R, N, n)."""
        return -2.0 * (state @ self.quadratic)


@dataclass(frozen=True, eq=False)
class ResponseSlopes:
    """Derivatives of a `RegulatorResponse` in θ, the parameters on the second axis.

    Attributes:
        gain: ∂K, shape (R, D, m, n).
        covariance: ∂Σ, shape (R, D, m, m).
        quadratic: ∂P, shape (R, D, n, n).
        offset: ∂v, shape (R, D).
    """

    gain: Floats
    covariance: Floats
    quadratic: Floats
    offset: Floats


@dataclass(frozen=True, eq=False)
class ThermalRegulator:
    """A maximum-entropy regulator without a horizon, as the released code solves it.

    With S = R + γ BᵀPB: K = γ S⁻¹ BᵀPA and Σ = (β/2) S⁻¹. The clip of the state is
    ignored.

    Attributes:
        problem: the building, and what it is paid for.
        temperature: β of each run, shape (R,).
        tolerance: bound on the relative error of the costs sᵀ P s, for every s.
        max_iterations: doublings allowed before giving up.

    Raises:
        ValueError: if temperatures are not one positive number per run.
    """

    problem: Building
    temperature: Floats
    tolerance: float = 1e-10
    max_iterations: int = 50

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def respond(self, theta: Floats) -> RegulatorResponse:
        """The best response to θ, shape (R, D).

        Raises:
            NotConverged: if a run misses the tolerance.
        """
        problem, gamma, beta = self.problem, self.problem.discount, self.temperature
        costs = problem.state_cost, problem.control_cost
        regulator = Regulator(problem.input_matrix, *costs, gamma, self.max_iterations)
        drift = problem.dynamics(theta)
        solution = regulator.solve(drift)
        refined = regulator.policy_cost(drift, regulator.gain(solution.quadratic, drift))
        bearable = np.isfinite(refined).all(axis=(1, 2), keepdims=True)
        quadratic = np.where(bearable, refined, solution.quadratic)
        gain, curvature = regulator.gain(quadratic, drift), regulator.curvature(quadratic)
        volume = len(curvature[0]) * np.log(np.pi * beta) - np.linalg.slogdet(curvature)[1]
        shaken = gamma * problem.noise**2 * np.trace(quadratic, axis1=1, axis2=2)
        answer = RegulatorResponse(
            gain=gain,
            covariance=0.5 * beta[:, None, None] * np.linalg.inv(curvature),
            quadratic=quadratic,
            offset=(shaken - 0.5 * beta * volume) / (1.0 - gamma),
            accuracy=regulator.accuracy(quadratic, drift, gain),
            iterations=solution.iterations,
        )
        check_accuracy(answer.accuracy, answer.iterations, theta, self.tolerance)
        return answer

    def slopes(self, theta: Floats, response: RegulatorResponse) -> ResponseSlopes:
        """Implicit derivative of the Riccati fixed point.

        K is optimal, so that ∂P solves a Lyapunov equation without ∂K in it.
        """
        problem, gamma = self.problem, self.problem.discount
        actuator, quadratic = problem.input_matrix, response.quadratic[:, None]
        inverse = (2.0 * response.covariance / self.temperature[:, None, None])[:, None]
        closed = (problem.dynamics(theta) - actuator @ response.gain)[:, None]
        drift = problem.dynamics_slopes(theta)
        pushed = gamma * (drift.mT @ quadratic @ closed)
        slope = discounted_sum(np.sqrt(gamma) * closed, pushed + pushed.mT)
        curvature = gamma * (actuator.T @ slope @ actuator)
        half = 0.5 * self.temperature
        shaken = gamma * problem.noise**2 * np.trace(slope, axis1=2, axis2=3)
        widened = (inverse * curvature).sum(axis=(2, 3))
        return ResponseSlopes(
            gain=gamma * (inverse @ actuator.T @ (slope @ closed + quadratic @ drift)),
            covariance=-half[:, None, None, None] * (inverse @ curvature @ inverse),
            quadratic=slope,
            offset=(half[:, None] * widened + shaken) / (1.0 - gamma),
        )
