"""What the follower wants beyond its known fines, as identified from the choices that it made.

The leader knows what θ adds to the follower's reward. A correction δ(s, a) stands for the rest: for
rewards that it never set, and for what its kernel gets wrong about the follower's prospects. It is
the maximum a posteriori of the choices' likelihood,

    max_δ  Σ_b Σ_sa n_b(s, a) log π_δ(a | s; θ_b) - ½ Σ_sa (δ(s, a) / σ(s, a))²,

where π_δ is the best response to r_F(θ_b) + δ in the identified model and n_b counts choices under
θ_b. With e = n - n(s) π the gradient of the first sum by the implicit function theorem is

    (1/β) (e(s, a) + π(a | s) y(s)),   y = (I - γ P_π)⁻ᵀ x,   x(s') = Σ_sa e(s, a) γ P(s' | s, a).
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from scipy.optimize import minimize

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.models.tabular.elimination import factorise, solve
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration, soft_bellman


@parallel_kernel
def _likelihoods(  # type: ignore[no-untyped-def]
    model, reward, correction, temperature, times, tolerance, max_iterations, value, found, slope
):
    num_thetas, num_states, num_actions = times.shape
    num_successors = model.successor.shape[1]
    contraction = model.discount.max()
    for b in numba.prange(num_thetas):
        corrected = reward[b] + correction
        factors = np.empty(model.num_factors)
        residual = np.empty(num_states)
        policy = np.empty((num_states, num_actions))
        for iteration in range(max_iterations + 1):
            soft_bellman(model, corrected, temperature, value[b], policy, residual)
            error = 0.0
            for s in range(num_states):
                residual[s] -= value[b, s]
                error = max(error, abs(residual[s]))
            factorise(model, policy, factors)
            if error <= tolerance * (1.0 - contraction) or iteration == max_iterations:
                break
            solve(model, factors, False, residual)
            for s in range(num_states):
                value[b, s] += residual[s]
        total = 0.0
        reached = np.zeros(num_states)
        for s in range(num_states):
            visits = times[b, s].sum()
            if visits == 0.0:
                slope[b, s] = 0.0
                continue
            for a in range(num_actions):
                surprise = times[b, s, a] - visits * policy[s, a]
                slope[b, s, a] = surprise
                if times[b, s, a] > 0.0:
                    total += times[b, s, a] * np.log(max(policy[s, a], 1e-300))
                discounted = surprise * model.discount[s]
                for k in range(num_successors):
                    reached[model.successor[s, k]] += discounted * model.probability[s, a, k]
        solve(model, factors, True, reached)
        found[b] = total
        for s in range(num_states):
            for a in range(num_actions):
                slope[b, s, a] = (slope[b, s, a] + policy[s, a] * reached[s]) / temperature


@dataclass(frozen=True, eq=False)
class Choices:
    """What one follower chose under several θ.

    Attributes:
        reward: what θ_b adds to the follower's reward, shape (B, S, A).
        times: n_b(s, a), shape (B, S, A).
        value: soft values of the last answer to each θ_b, where the next one starts, (B, S);
            changed in place.
    """

    reward: Floats
    times: Floats
    value: Floats


def log_likelihood(
    model: TabularModel,
    choices: Choices,
    correction: Floats,
    temperature: float,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 50,
) -> tuple[Floats, Floats]:
    """Of the choices under each θ_b, (B,), and its gradient by the correction, (B, S, A)."""
    found, slope = np.empty(len(choices.times)), np.empty_like(choices.times)
    _likelihoods(
        model, choices.reward, correction, temperature, choices.times, tolerance, max_iterations,
        choices.value, found, slope,
    )  # fmt: skip
    return found, slope


def log_ratio(
    model: TabularModel, choices: Choices, first: Floats, second: Floats, temperature: float
) -> tuple[float, float]:
    """How much likelier the choices are under `second` than under `first`, δ of shape (S, A).

    With l = log π_second(a | s; θ_b) - log π_first(a | s; θ_b) of each choice: the sum of l, and
    that of l², which is the variance of the former where neither is better.
    """
    tolerance, iterations = 1e-6, 50
    follower = SoftPolicyIteration(
        model, np.full(len(choices.times), temperature), tolerance, iterations
    )

    def log_policy(correction: Floats) -> Floats:
        start = choices.value.copy()
        answer = follower.iterate(choices.reward + correction, start, iterations, tolerance)
        logarithm: Floats = np.log(np.maximum(answer.policy, 1e-300))
        return logarithm

    ratio = log_policy(second) - log_policy(first)
    squares = choices.times * np.square(ratio)
    return float((choices.times * ratio).sum()), float(squares.sum())


def correct(
    model: TabularModel,
    choices: Choices,
    correction: Floats,
    spread: Floats,
    temperature: float,
    iterations: int = 200,
) -> Floats:
    """δ, by L-BFGS from the last one, shape (S, A).

    Args:
        model: the identified dynamics.
        choices: that were seen.
        correction: the last δ, shape (S, A).
        spread: σ, shape (S, A).
        temperature: β.
        iterations: at most.
    """
    usual = np.median(spread)
    options = {"maxiter": iterations, "ftol": 1e-7}
    found = correction
    # What may be large, at ends of episodes, comes first: a long way in steps of the others' size.
    for unit in (np.where(spread > usual, spread, 0.0), np.minimum(spread, usual)):
        start, free = found.copy(), unit > 0.0

        def loss(
            scaled: Floats, unit: Floats = unit, start: Floats = start, free: Any = free
        ) -> tuple[float, Floats]:
            delta = start.copy()
            delta[free] = scaled * unit[free]
            likelihoods, slope = log_likelihood(model, choices, delta, temperature)
            prior = np.square(delta / spread).sum()
            gradient = (delta / np.square(spread) - slope.sum(axis=0)) * unit
            return 0.5 * float(prior) - float(likelihoods.sum()), gradient[free]

        if free.any():
            first = start[free] / unit[free]
            best = minimize(loss, first, jac=True, method="L-BFGS-B", options=options)
            found = start.copy()
            found[free] = best.x * unit[free]
    return found
