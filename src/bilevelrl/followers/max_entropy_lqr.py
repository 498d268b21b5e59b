"""The exact best response in BilevelLQR: a maximum-entropy linear-quadratic regulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.followers.linear_gaussian import LinearGaussianResponse
from bilevelrl.followers.protocol import NotConverged
from bilevelrl.problems.bilevel_lqr import BilevelLQR
from bilevelrl.problems.closed_loop import noise_of_runs
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]

_DIVERGED = 1e16  # a cost-to-go beyond this hides the cost of a step in its rounding
_LAST_STEP = 1e-9  # convergence is quadratic: what is left is its square
_DOUBLINGS = 50  # discounted sums of up to 2⁵⁰ terms


def discounted_sum(matrix: Floats, weight: Floats) -> Floats:
    """Σ_{k≥0} (Aᵏ)ᵀ Y Aᵏ of stacks (..., n, n); not finite where A is unstable.

    X ← X + Aᵀ X A and A ← A² double the number of terms.
    """
    total = weight
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_DOUBLINGS):
            total = total + matrix.mT @ total @ matrix
            matrix = matrix @ matrix
    return total


@dataclass(frozen=True, eq=False)
class MaxEntropyLQR:
    """Solves the follower's entropy-regularised problem to a certified accuracy.

    Value iteration P ← Q + γ ÃᵀPÃ - γ² ÃᵀPB S⁻¹ BᵀPÃ from P = 0 with Ã = A + C K, S = R + γ BᵀPB;
    only iterates number 2, 4, 8, ... are computed (the structure-preserving doubling algorithm of
    Chu, Fan and Lin, 2004), which converges quadratically, from below. The leader's noise moves
    the offset v alone (spec section 2.3).

    Playing the gain that P suggests costs P_K = P + Σ_k γᵏ (Mᵏ)ᵀ Δ Mᵏ, where M is the closed loop
    and Δ what one step more adds to P. Hence P ≤ P* ≤ P_K ≤ (1 + accuracy) P: in coordinates in
    which P is the identity, accuracy = ‖Δ‖ ‖Σ_k γᵏ (Mᵏ)ᵀ Mᵏ‖ in Frobenius norms. A nearly
    uncontrollable system, with costs of 10¹⁴ in one direction and 1 in another, passes as well.

    Attributes:
        problem: the bi-level problem.
        temperature: β of each run, shape (R,).
        tolerance: bound on the relative error of the costs xᵀ P x, for every x.
        max_iterations: doublings allowed before giving up.
        leader_noise: W of each run, shape (R,); the problem's if omitted.

    Raises:
        ValueError: if temperatures or noises are not one positive number per run.
    """

    problem: BilevelLQR
    temperature: Floats
    tolerance: float = 1e-10
    max_iterations: int = 50
    leader_noise: Floats | None = None

    def __post_init__(self) -> None:
        if self.temperature.ndim != 1 or not (self.temperature > 0.0).all():
            raise ValueError(f"temperature must be one positive number a run: {self.temperature}")
        noise_of_runs(self.problem, self.leader_noise, len(self.temperature))

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Nothing is remembered, shape (R, 0)."""
        del streams
        return np.empty((num_runs, 0))

    def respond(
        self, theta: Floats, memory: Floats | None = None, streams: Streams | None = None
    ) -> LinearGaussianResponse:
        """The best response to θ, shape (R, D).

        Raises:
            NotConverged: if a run misses the tolerance, as it must where no follower can keep its
                discounted costs finite.
        """
        del memory, streams
        problem, gamma = self.problem, self.problem.follower_discount
        actuator, beta = problem.follower_matrix, self.temperature
        drift = problem.state_matrix + problem.leader_matrix @ problem.gain(theta)
        quadratic, iterations = self._value_iteration(drift)

        curvature = problem.control_cost + gamma * (actuator.T @ quadratic @ actuator)
        inverse = np.linalg.inv(curvature)
        noise_gain = gamma * (inverse @ (actuator.T @ quadratic))
        # P_aa = γP - γ²PB S⁻¹ BᵀP as a sum of squares, which does not cancel.
        stays = np.eye(len(actuator)) - actuator @ noise_gain
        effort = noise_gain.mT @ problem.control_cost @ noise_gain
        noise = _symmetric(gamma * (stays.mT @ quadratic @ stays) + effort)
        state_gain = noise_gain @ drift

        scale = noise_of_runs(problem, self.leader_noise, len(theta)) ** 2
        pushed = (problem.leader_matrix * (noise @ problem.leader_matrix)).sum(axis=(1, 2))
        volume = actuator.shape[1] * np.log(np.pi * beta) - np.linalg.slogdet(curvature)[1]
        answer = LinearGaussianResponse(
            state_gain=state_gain,
            noise_gain=noise_gain,
            covariance=0.5 * beta[:, None, None] * inverse,
            quadratic=quadratic,
            cross=drift.mT @ noise,
            noise=noise,
            offset=(gamma * scale * pushed - 0.5 * beta * volume) / (1.0 - gamma),
            accuracy=self._accuracy(quadratic, drift, state_gain),
            iterations=iterations,
        )
        if not np.all(answer.accuracy <= self.tolerance):
            worst = int(np.argmax(np.where(np.isnan(answer.accuracy), np.inf, answer.accuracy)))
            raise NotConverged(
                f"best response of run {worst} to θ = {theta[worst].tolist()} is only accurate to "
                f"{answer.accuracy[worst]:.2e} (tolerance {self.tolerance:.2e}) after "
                f"{answer.iterations[worst]} doublings"
            )
        return answer

    def _value_iteration(self, drift: Floats) -> tuple[Floats, NDArray[np.int64]]:
        # P after 2ᵏ steps, with the propagator and the controllability of these steps. Runs that
        # are done stay as they are, so that none depends on the others.
        problem, gamma = self.problem, self.problem.follower_discount
        actuator = problem.follower_matrix
        matrix = np.sqrt(gamma) * drift
        reach = gamma * (actuator @ np.linalg.solve(problem.control_cost, actuator.T))
        reach = np.broadcast_to(reach, drift.shape)
        cost = np.broadcast_to(problem.state_cost, drift.shape)
        iterations = np.zeros(len(drift), dtype=np.int64)
        going = np.ones(len(drift), dtype=bool)
        for _ in range(self.max_iterations):
            loop = np.where(going[:, None, None], reach @ cost, 0.0)
            spread = np.linalg.inv(np.eye(drift.shape[1]) + loop)
            step = _symmetric(matrix.mT @ cost @ spread @ matrix)
            reach = reach + _symmetric(matrix @ spread @ reach @ matrix.mT)
            matrix = np.where(going[:, None, None], matrix @ spread @ matrix, 0.0)
            cost = np.where(going[:, None, None], cost + step, cost)
            iterations += going
            size = _norm(cost)
            going = going & (_norm(step) > _LAST_STEP * size) & (size < _DIVERGED)
            if not going.any():
                break
        return cost, iterations

    def _accuracy(self, quadratic: Floats, drift: Floats, state_gain: Floats) -> Floats:
        # See the class. P ≥ Q, whatever rounding does to the small eigenvalues of a huge P.
        problem = self.problem
        closed = drift - problem.follower_matrix @ state_gain
        size, direction = np.linalg.eigh(quadratic)
        size = np.sqrt(np.maximum(size, np.linalg.eigvalsh(problem.state_cost).min()))[:, None]
        back = direction / size
        loop = np.sqrt(problem.follower_discount) * ((direction * size).mT @ closed @ back)
        effort = back.mT @ (state_gain.mT @ problem.control_cost @ state_gain) @ back
        identity = np.broadcast_to(np.eye(len(problem.state_cost)), loop.shape)
        step = back.mT @ problem.state_cost @ back + effort + loop.mT @ loop - identity
        return _norm(step) * _norm(discounted_sum(loop, identity))


def _symmetric(matrix: Floats) -> Floats:
    return 0.5 * (matrix + matrix.mT)


def _norm(matrix: Floats) -> Floats:
    """Frobenius norm of each matrix of a stack."""
    norm: Floats = np.sqrt(np.square(matrix).sum(axis=(-2, -1)))
    return norm
