"""Kernels on the dense tables of a small `MarkovGame`: values of policies, and soft values."""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel


@kernel
def solve_chain(chain, discount, transposed, x):  # type: ignore[no-untyped-def]
    """Overwrite the right-hand side `x`, shape (S,), with the solution of (I - γ P) x = b.

    Gaussian elimination without pivoting: I - γ P is diagonally dominant by rows, its transpose by
    columns, and elimination keeps either; `transposed` solves (I - γ Pᵀ) x = b instead.
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


@kernel
def soft_maximum(q, temperature, weights):  # type: ignore[no-untyped-def]
    """Return β log Σ_b exp(q(b) / β) and fill the softmax of q / β, shape (B,)."""
    top = q.max()
    total = 0.0
    for b in range(len(q)):
        weights[b] = np.exp((q[b] - top) / temperature)
        total += weights[b]
    for b in range(len(q)):
        weights[b] /= total
    return top + temperature * np.log(total)


@kernel
def soft_state_values(table, leader, temperature, published, weights, value):  # type: ignore[no-untyped-def]
    """What a state is worth to the follower before the leader acts.

    Fills `value`, shape (S,), with v(s) = Σ_a f(a|s) β log Σ_b exp(Q(s, a, b) / β) in the correct
    order, and v(s) = β log Σ_b exp(Σ_a f(a|s) Q(s, a, b) / β) in the published one; and `weights`,
    shape (S, A, B), with w(b | s, a) for which ∂v(s) = Σ_ab f(a|s) w(b|s, a) ∂Q(s, a, b): the
    softmax policy, or the same distribution for all a.
    """
    num_states, num_leader, num_follower = table.shape
    mean = np.empty(num_follower)
    for s in range(num_states):
        if published:
            mean[:] = 0.0
            for a in range(num_leader):
                for b in range(num_follower):
                    mean[b] += leader[s, a] * table[s, a, b]
            value[s] = soft_maximum(mean, temperature, weights[s, 0])
            for a in range(1, num_leader):
                weights[s, a] = weights[s, 0]
        else:
            value[s] = 0.0
            for a in range(num_leader):
                best = soft_maximum(table[s, a], temperature, weights[s, a])
                value[s] += leader[s, a] * best


@kernel
def _largest_difference(new, old):  # type: ignore[no-untyped-def]
    error = 0.0
    for i in range(len(new)):
        difference = abs(new[i] - old[i])
        if difference > error or np.isnan(difference):  # NaN stays once it is there
            error = difference
    return error


@kernel
def _derive(table, temperature, policy, value):  # type: ignore[no-untyped-def]
    # π(b | s, a) and V(s, a), the same in both orders.
    num_states, num_leader, _ = table.shape
    for s in range(num_states):
        for a in range(num_leader):
            value[s, a] = soft_maximum(table[s, a], temperature, policy[s, a])


@kernel
def newton(  # type: ignore[no-untyped-def]
    transition, reward, discount, leader, temperature, published, tolerance, max_iterations,
    state_value, table, weights,
):  # fmt: skip
    """Solve v = T v from `state_value` (S,) on, one run; see `soft_q_iteration.SoftQIteration`.

    Fills `table` with Q and `weights` with w as in `soft_state_values`, both (S, A, B), and returns
    the certified accuracy and the number of steps.
    """
    num_states = len(reward)
    chain, step = np.empty((num_states, num_states)), np.empty(num_states)
    iteration = 0
    while True:
        look_ahead(transition, reward, discount, state_value, table)
        soft_state_values(table, leader, temperature, published, weights, step)
        accuracy = _largest_difference(step, state_value) / (1.0 - discount)
        if not accuracy > tolerance or iteration == max_iterations:
            return accuracy, iteration
        for s in range(num_states):
            step[s] -= state_value[s]
        mix(transition, leader, weights, chain)
        solve_chain(chain, discount, False, step)
        for s in range(num_states):
            state_value[s] += step[s]
        iteration += 1


@parallel_kernel
def solve(  # type: ignore[no-untyped-def]
    transition, reward, discount, leader, temperature, published, tolerance, max_iterations,
    state_value, policy, value, accuracy, iterations,
):  # fmt: skip
    """`newton` for every run, and the policy π(b | s, a) and V_F(s, a) that follow."""
    for r in numba.prange(len(leader)):
        table = np.empty(reward.shape)
        accuracy[r], iterations[r] = newton(
            transition, reward, discount, leader[r], temperature[r], published, tolerance,
            max_iterations, state_value[r], table, policy[r],
        )  # fmt: skip
        _derive(table, temperature[r], policy[r], value[r])


@parallel_kernel
def sweep(  # type: ignore[no-untyped-def]
    transition, reward, discount, leader, temperature, published, num_sweeps,
    table, policy, value, accuracy,
):  # fmt: skip
    """Synchronous sweeps for every run, see `soft_q_iteration.TruncatedSoftQ`."""
    for r in numba.prange(len(leader)):
        state_value, weights = np.empty(len(reward)), np.empty(reward.shape)
        for _ in range(num_sweeps[r]):
            soft_state_values(table[r], leader[r], temperature[r], published, weights, state_value)
            look_ahead(transition, reward, discount, state_value, table[r])
        _derive(table[r], temperature[r], policy[r], value[r])
        soft_state_values(table[r], leader[r], temperature[r], published, weights, state_value)
        look_ahead(transition, reward, discount, state_value, weights)
        error = _largest_difference(weights.ravel(), table[r].ravel())
        accuracy[r] = error / (1.0 - discount)
