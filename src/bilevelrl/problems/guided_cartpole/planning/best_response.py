"""The follower's soft best response on the grid.

    V_F(s, w) = r_F + β log ∫ exp(γ_F v_F(s') / β) du,   v_F(s) = Σ_w f(w|s) V_F(s, w)

is solved by soft policy iteration, policies evaluated by a few steps of GMRES.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning.grid import Singles, Stencils
from bilevelrl.problems.guided_cartpole.planning.kernels import soft_backup
from bilevelrl.problems.guided_cartpole.planning.planner import Planner

#: Steps of GMRES per policy iteration, and most of these.
_SWEEPS, _MOST_ITERATIONS = 8, 100
#: Steps of `settle` before its first round of GMRES, and of each round.
_SMOOTHED, _ROUND = 30, 60
#: What v_F may be above the one with linear interpolation, as a share of the largest thinkable, and
#: how exactly that one is found, likewise.
_MORE, _ROUGHLY = 0.2, 0.005


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What the follower plays against one θ, on the grid.

    Attributes:
        leader: f(w | s), shape (K, L, A, N).
        value: v_F, shape (K, L, N).
        expected: V_F(s, w), shape (K, L, A, N).
        policy: π(u | s, w) of the pushes that stand for an interval each, shape (K, L, A U, N).
        chain: see `kernels.soft_backup`.
        residual: largest change of v_F by one more backup.
    """

    leader: Singles
    value: Singles
    expected: Singles
    policy: Singles
    chain: Singles
    residual: float


def best_response(
    planner: Planner,
    theta: Floats,
    temperature: float,
    discount: float,
    guess: Singles | None = None,
) -> BestResponse:
    """The soft best response to θ, shape (D,), from a guess of v_F, shape (K, L, N).

    Cubic interpolation overshoots beside jumps, and a follower that maximises would go there.
    Linear interpolation does not: no value is believed that is `_MORE` above what that finds.
    """
    task = planner.leader(theta), temperature, discount
    most = (planner.mechanics.follower_reward + temperature * np.log(2.0)) / (1.0 - discount)
    largest = np.full((*planner.blocks, planner.size), most, np.float32)
    value = 0.5 * largest if guess is None else guess
    roughly = max(_ROUGHLY * most, planner.params.tolerance)
    blurred = _solved(planner, planner.blurred, value, largest, roughly, *task).value
    cap = np.minimum(blurred + np.float32(_MORE) * largest, largest)
    start = blurred if guess is None else guess
    return _solved(planner, planner.grid, start, cap, planner.params.tolerance, *task)


def _solved(
    planner: Planner,
    grid: Stencils,
    value: Singles,
    cap: Singles,
    tolerance: float,
    leader: Singles,
    temperature: float,
    discount: float,
) -> BestResponse:
    many = len(planner.winds) * len(grid.pushes)
    backed, expected = np.empty_like(value), np.empty_like(leader)
    policy = np.empty((*planner.blocks, many, planner.size), np.float32)
    chain = np.empty((*planner.blocks, planner.windows, planner.size), np.float32)
    gamma = np.float32(discount)

    def back_up(cap: Singles) -> None:
        soft_backup(
            planner.rolled(value), leader, grid.base, grid.kick_weight, grid.push_weight,
            np.float32(planner.mechanics.follower_reward), np.float32(temperature), gamma, cap,
            grid.geometry, backed, expected, policy, chain,
        )  # fmt: skip

    for _ in range(_MOST_ITERATIONS):
        back_up(cap)
        change = backed - value
        residual = float(np.abs(change).max())
        if residual < tolerance:
            break

        def still_missing(of: Singles) -> Singles:
            return of - gamma * planner.expected(of, chain, grid=grid)

        value = value + solve(still_missing, change, _SWEEPS, 0.0)
    back_up(np.full_like(cap, np.inf))  # who is in a state with a capped value goes on all the same
    return BestResponse(leader, value, expected, policy, chain, residual)


def solve(
    product: Callable[[Singles], Singles], wanted: Singles, steps: int, accuracy: float
) -> Singles:
    """Approximate solution of product(x) = wanted after at most so many steps of GMRES.

    Ends when what is missing is `accuracy` of what was wanted, both in the 2-norm.
    """

    def flat(of: Singles) -> Singles:
        return product(of.reshape(wanted.shape)).ravel()

    operator = LinearOperator((wanted.size, wanted.size), flat, dtype=np.float32)
    found, _ = gmres(operator, wanted.ravel(), rtol=accuracy, restart=steps, maxiter=1)
    solution: Singles = found.reshape(wanted.shape).astype(np.float32)
    return solution


def settle(
    product: Callable[[Singles], Singles], wanted: Singles, steps: int, accuracy: float
) -> Singles:
    """Like `solve`, for a product that takes nearly nothing from most of what it is applied to.

    What is missing is what it takes. Putting that back, `_SMOOTHED` times, leaves what changes
    slowly, and a few short rounds of GMRES find that: they hold fewer vectors than a long one.
    """
    found, missing, most = wanted, wanted - product(wanted), accuracy * np.linalg.norm(wanted)
    for _ in range(_SMOOTHED - 1):
        found = found + missing
        missing = wanted - product(found)
    for _ in range(0, steps - _SMOOTHED, _ROUND):
        left = np.linalg.norm(missing)
        if left <= most:
            break
        found = found + solve(product, missing, _ROUND, float(most / left))
        missing = wanted - product(found)
    return found
