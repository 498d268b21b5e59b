"""Kernels on the dense tables of a small `MarkovGame`."""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel


@kernel
def solve_chain(chain, discount, transposed, x):  # type: ignore[no-untyped-def]
    """Overwrite the right-hand side `x`, shape (S,), with the solution of (I - γ P) x = b.

    Gaussian elimination without pivoting: I - γ P is diagonally dominant by rows, its transpose by
    columns, and elimination keeps either.

    Args:
        chain: P(s' | s), shape (S, S).
        discount: γ in [0, 1).
        transposed: solve (I - γ Pᵀ) x = b instead.
        x: b, overwritten.
    """
    size = len(x)
    matrix = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            matrix[i, j] = -discount * (chain[j, i] if transposed else chain[i, j])
        matrix[i, i] += 1.0
    for k in range(size):
        for i in range(k + 1, size):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, size):
                matrix[i, j] -= factor * matrix[k, j]
            x[i] -= factor * x[k]
    for k in range(size - 1, -1, -1):
        for j in range(k + 1, size):
            x[k] -= matrix[k, j] * x[j]
        x[k] /= matrix[k, k]


@kernel
def look_ahead(transition, reward, discount, value, table):  # type: ignore[no-untyped-def]
    """Fill Q(s, a, b) = r(s, a, b) + γ Σ_s' P(s' | s, a, b) v(s'), shape (S, A, B)."""
    num_states, num_leader, num_follower = reward.shape
    for s in range(num_states):
        for a in range(num_leader):
            for b in range(num_follower):
                expected = 0.0
                for t in range(num_states):
                    expected += transition[s, a, b, t] * value[t]
                table[s, a, b] = reward[s, a, b] + discount * expected


@kernel
def mix(transition, leader, follower, chain):  # type: ignore[no-untyped-def]
    """Fill P(s' | s) = Σ_ab f(a | s) w(b | s, a) P(s' | s, a, b), shape (S, S)."""
    num_states, num_leader, num_follower = follower.shape
    chain[:] = 0.0
    for s in range(num_states):
        for a in range(num_leader):
            for b in range(num_follower):
                weight = leader[s, a] * follower[s, a, b]
                for t in range(num_states):
                    chain[s, t] += weight * transition[s, a, b, t]


@kernel
def fill_values(transition, reward, leader, follower, chain, discount, value):  # type: ignore[no-untyped-def]
    """Values of both policies for any reward, one run.

    With one row, `value` becomes that of the infinite horizon, which needs γ < 1; with H + 1 rows,
    row t becomes that of H - t steps.
    """
    num_states, num_leader, num_follower = follower.shape
    rewards = np.zeros(num_states)
    for s in range(num_states):
        for a in range(num_leader):
            for b in range(num_follower):
                rewards[s] += leader[s, a] * follower[s, a, b] * reward[s, a, b]
    if len(value) == 1:
        value[0] = rewards
        solve_chain(chain, discount, False, value[0])
        return
    value[-1] = 0.0
    for t in range(len(value) - 2, -1, -1):
        for s in range(num_states):
            expected = 0.0
            for following in range(num_states):
                expected += chain[s, following] * value[t + 1, following]
            value[t, s] = rewards[s] + discount * expected


@parallel_kernel
def evaluate_all(transition, reward, leader, follower, discount, chain, value):  # type: ignore[no-untyped-def]
    """`mix` and `fill_values` for every run."""
    for r in numba.prange(len(leader)):
        mix(transition, leader[r], follower[r], chain[r])
        fill_values(transition, reward, leader[r], follower[r], chain[r], discount, value[r])
