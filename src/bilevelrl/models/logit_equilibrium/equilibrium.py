"""Logit Markov equilibria of stochastic games: from the last step back, state by state.

Players are soft-optimal against one another. Every Q_i(t, s, b) is the expectation, over the
others' policies, of what player i gets now and of γ_F V_i(t + 1, s'), and
V_i = β_i log Σ_b exp(Q_i / β_i), which has the bonus for entropy in it.
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.follower import NotConverged
from bilevelrl.models.logit_equilibrium.branch import follow_branch
from bilevelrl.models.logit_equilibrium.stage import (
    answer,
    choose,
    couple,
    expect,
    newton,
    soft_value,
)
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """One equilibrium in each of R runs.

    Attributes:
        game: what is played.
        payments: to every player by state and own action, shape (R, N, S, A).
        temperature: β of every player, shape (R, N).
        policy: π_i(b | t, s), shape (R, H, S, N, A).
        quality: Q_i, in the same shape.
        value: V_i(t, s), shape (R, H + 1, S, N), 0 after the last step.
        residual: largest |Q_i - E[u_i]| of all steps and states, shape (R,).
        steps: of Newton's method, all together, shape (R,).
    """

    game: StochasticGame
    payments: Floats
    temperature: Floats
    policy: Floats
    quality: Floats
    value: Floats
    residual: Floats
    steps: Index


def equilibrium(
    game: StochasticGame, payments: Floats, temperature: Floats, *, tolerance: float = 1e-12
) -> Equilibrium:
    """The equilibrium on every state's principal branch, see `branch.follow_branch`.

    Where that fails, Newton's method also starts from every pure joint action, and the first that
    leads to an equilibrium counts. The answer depends on nothing but the arguments.

    Args:
        game: with N players, S states, A actions and H steps.
        payments: shape (R, N, S, A).
        temperature: β of every player, shape (R, N).
        tolerance: of `Equilibrium.residual`.

    Raises:
        NotConverged: if a residual stays above the tolerance.
        ValueError: if shapes do not fit, or a number is impossible.
    """
    return _solved(game, payments, temperature, tolerance, np.empty((0, 0, 0)))


def from_start(
    game: StochasticGame,
    payments: Floats,
    temperature: Floats,
    start: Floats,
    *,
    tolerance: float = 1e-12,
) -> Equilibrium:
    """The equilibrium near which all states start at policies `start`, shape (R, N, A).

    Players first take damped steps to their best responses, then Newton's method finishes. A state
    where that leads nowhere is left to its principal branch. Other arguments and errors are those
    of `equilibrium`.
    """
    shape = (len(payments), game.num_players, game.num_actions)
    if start.shape != shape:
        raise ValueError(f"start has shape {start.shape}: {shape} is needed")
    return _solved(game, payments, temperature, tolerance, start)


def _solved(
    game: StochasticGame, payments: Floats, temperature: Floats, tolerance: float, start: Floats
) -> Equilibrium:
    _check(game, payments, temperature)
    runs, shape = len(payments), (game.num_states, game.num_players, game.num_actions)
    policy, quality = np.zeros((2, runs, game.max_episode_steps, *shape))
    value = np.zeros((runs, game.max_episode_steps + 1, *shape[:2]))
    residual, steps = np.zeros(runs), np.zeros(runs, dtype=np.int64)
    _solve(
        game.transition, game.reward, payments, temperature, game.actions, game.follower_discount,
        tolerance, start, policy, quality, value, residual, steps,
    )  # fmt: skip
    for run in np.flatnonzero(~(residual <= tolerance)):
        raise NotConverged(
            f"run {run}: values miss those that the players' policies cause by "
            f"{residual[run]:.3g} at temperatures {temperature[run].tolist()} after {steps[run]} "
            f"steps of Newton's method; {tolerance:.3g} is allowed"
        )
    return Equilibrium(game, payments, temperature, policy, quality, value, residual, steps)


def _check(game: StochasticGame, payments: Floats, temperature: Floats) -> None:
    shape = (len(payments), game.num_players, game.num_states, game.num_actions)
    if payments.shape != shape:
        raise ValueError(f"payments have shape {payments.shape}: {shape} is needed")
    if not np.isfinite(payments).all():
        raise ValueError("payments are not finite everywhere")
    if temperature.shape != shape[:2]:
        raise ValueError(f"temperature has shape {temperature.shape}: {shape[:2]} is needed")
    if not ((temperature > 0.0) & np.isfinite(temperature)).all():
        raise ValueError(f"temperature = {temperature.tolist()}: all must be positive and finite")


@kernel
def utilities(  # type: ignore[no-untyped-def]
    transition, reward, payments, actions, discount, state, after, utility
):
    """u_i(s, a) = r_i + payment + γ E[V_i(s')] into `utility`, shape (N, A^N); V is (S, N)."""
    players = len(reward)
    for a in range(len(actions)):
        for i in range(players):
            utility[i, a] = reward[i, state, a] + payments[i, state, actions[a, i]]
        for following in range(transition.shape[2]):
            share = discount * transition[state, a, following]
            if share > 0.0:
                for i in range(players):
                    utility[i, a] += share * after[following, i]


@kernel
def _from_pure(utility, temperature, actions, tolerance, quality):  # type: ignore[no-untyped-def]
    players, own = quality.shape
    total = 0
    for a in range(len(actions)):
        pure = np.zeros((players, own))
        for i in range(players):
            pure[i, actions[a, i]] = 1.0
        expect(utility, pure, actions, quality)
        answer(utility, temperature, actions, quality)
        residual, steps = newton(utility, temperature, actions, tolerance, quality)
        total += steps
        if residual <= tolerance:
            break
    return residual, total


@parallel_kernel
def _solve(  # type: ignore[no-untyped-def]
    transition, reward, payments, temperature, actions, discount, tolerance, start,
    policy, quality, value, residual, steps,
):  # fmt: skip
    runs, horizon, states, players, _ = policy.shape
    for r in numba.prange(runs):
        utility = np.empty((players, len(actions)))
        for t in range(horizon - 1, -1, -1):
            for s in range(states):
                found = quality[r, t, s]
                utilities(
                    transition, reward, payments[r], actions, discount, s, value[r, t + 1], utility
                )
                left, taken = np.inf, 0
                if len(start) > 0:
                    expect(utility, start[r], actions, found)
                    answer(utility, temperature[r], actions, found)
                    left, taken = newton(utility, temperature[r], actions, tolerance, found)
                if not left <= tolerance:
                    left, more = follow_branch(utility, temperature[r], actions, tolerance, found)
                    taken += more
                if not left <= tolerance:
                    left, more = _from_pure(utility, temperature[r], actions, tolerance, found)
                    taken += more
                residual[r] = max(residual[r], left)
                steps[r] += taken
                choose(found, temperature[r], policy[r, t, s])
                for i in range(players):
                    value[r, t, s, i] = soft_value(found[i], temperature[r, i])


@parallel_kernel
def _couplings(  # type: ignore[no-untyped-def]
    transition, reward, payments, temperature, actions, discount, policy, value, result
):
    runs, horizon, states, players, own = policy.shape
    for r in numba.prange(runs):
        utility, expected = np.empty((players, len(actions))), np.empty((players, own))
        for t in range(horizon):
            for s in range(states):
                utilities(
                    transition, reward, payments[r], actions, discount, s, value[r, t + 1], utility
                )
                couple(utility, policy[r, t, s], temperature[r], actions, expected, result[r, t, s])


def couplings(reached: Equilibrium) -> Floats:
    """K of every step and state, shape (R, H, S, N·A, N·A), see `stage.couple`."""
    game, shape = reached.game, reached.policy.shape
    size = shape[3] * shape[4]
    result = np.empty((*shape[:3], size, size))
    _couplings(
        game.transition, game.reward, reached.payments, reached.temperature, game.actions,
        game.follower_discount, reached.policy, reached.value, result,
    )  # fmt: skip
    return result


def spectral_radius(reached: Equilibrium) -> Floats:
    """Largest |eigenvalue| of the coupling of all G_i, shape (R,).

    That of all steps is block-triangular in time, and so has the eigenvalues of its blocks. Below
    1, a Neumann series converges; what must not be is an eigenvalue 1.
    """
    radius: Floats = np.abs(np.linalg.eigvals(couplings(reached))).max(axis=(1, 2, 3))
    return radius
