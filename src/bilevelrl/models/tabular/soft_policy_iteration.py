"""The exact best response by soft policy iteration: Newton on the soft Bellman equation."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.follower import BestResponse, NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.elimination import factorise, solve
from bilevelrl.models.tabular.model import TabularModel


@kernel
def soft_bellman(model, reward, temperature, value, policy, backup):  # type: ignore[no-untyped-def]
    """One application of the soft optimality operator.

    With q = r + γ P v, fills `backup`, shape (S,), with (T v)(s) = β log Σ_a exp(q(s, a) / β), and
    `policy`, shape (S, A), with π(a | s) ∝ exp(q(s, a) / β).
    """
    num_states, num_actions, num_successors = model.probability.shape
    for s in range(num_states):
        top = -np.inf
        for a in range(num_actions):
            expected = 0.0
            for k in range(num_successors):
                expected += model.probability[s, a, k] * value[model.successor[s, k]]
            q = reward[s, a] + model.discount[s] * expected
            policy[s, a] = q
            top = max(top, q)
        total = 0.0
        for a in range(num_actions):
            policy[s, a] = np.exp((policy[s, a] - top) / temperature)
            total += policy[s, a]
        for a in range(num_actions):
            policy[s, a] /= total
        backup[s] = top + temperature * np.log(total)


@parallel_kernel
def _respond(  # type: ignore[no-untyped-def]
    model, reward, temperature, tolerance, max_iterations, value, policy, accuracy, iterations
):
    num_runs, num_states, _ = reward.shape
    contraction = model.discount.max()
    for r in numba.prange(num_runs):
        factors = np.empty(model.num_factors)
        residual = np.empty(num_states)
        for iteration in range(max_iterations + 1):
            soft_bellman(model, reward[r], temperature[r], value[r], policy[r], residual)
            error = 0.0
            for s in range(num_states):
                residual[s] -= value[r, s]
                if abs(residual[s]) > error or np.isnan(residual[s]):  # NaN stays once it is there
                    error = abs(residual[s])
            accuracy[r] = error / (1.0 - contraction)
            iterations[r] = iteration
            if accuracy[r] <= tolerance or np.isnan(error) or iteration == max_iterations:
                break
            factorise(model, policy[r], factors)
            solve(model, factors, False, residual)
            for s in range(num_states):
                value[r, s] += residual[s]


@dataclass(frozen=True, eq=False)
class SoftPolicyIteration:
    """Solves the follower's entropy-regularised problem to a certified accuracy.

    Each iteration evaluates the current softmax policy exactly: v ← v + (I - γ P_π)⁻¹ (T v - v).
    T is a γ-contraction, so max|v - V*| ≤ max|T v - v| / (1 - γ), which is what `tolerance` bounds.
    Starts from the previous answer; convergence is monotone from any start and quadratic near the
    end.

    Attributes:
        model: the follower's process.
        temperature: β of each run, shape (R,).
        tolerance: bound on the true error of the soft value, in units of reward.
        max_iterations: policy evaluations allowed before giving up.
    """

    model: TabularModel
    temperature: Floats
    tolerance: float
    max_iterations: int

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Soft values of zero, shape (R, S)."""
        del streams
        return np.zeros((num_runs, self.model.num_states))

    def iterate(
        self, reward: Floats, memory: Floats, max_iterations: int, tolerance: float = 0.0
    ) -> BestResponse:
        """At most `max_iterations` evaluations, fewer once `tolerance` is met; never raises."""
        policy = np.empty_like(reward)
        accuracy = np.empty(len(reward))
        iterations = np.empty(len(reward), dtype=np.int64)
        _respond(
            self.model, reward, self.temperature, tolerance, max_iterations,
            memory, policy, accuracy, iterations,
        )  # fmt: skip
        return BestResponse(policy, memory, accuracy, iterations)

    def respond(
        self, reward: Floats, memory: Floats, streams: Streams | None = None
    ) -> BestResponse:
        """The best response to r_F(s, a; θ), shape (R, S, A), warm-started from `memory`.

        Raises:
            NotConverged: if a run misses the tolerance.
        """
        del streams
        answer = self.iterate(reward, memory, self.max_iterations, self.tolerance)
        if not np.all(answer.accuracy <= self.tolerance):
            worst = int(np.argmax(np.where(np.isnan(answer.accuracy), np.inf, answer.accuracy)))
            raise NotConverged(
                f"best response of run {worst} is only accurate to {answer.accuracy[worst]:.2e} "
                f"(tolerance {self.tolerance:.2e}) after {answer.iterations[worst]} iterations"
            )
        return answer
