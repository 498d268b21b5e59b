"""Kernels of a follower that sees the leader's action: backups of its soft values."""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.models.finite_game.kernels import look_ahead, mix, solve_chain


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

    v(s) = Σ_a f(a|s) β log Σ_b exp(Q(s, a, b) / β) in the correct order, and
    v(s) = β log Σ_b exp(Σ_a f(a|s) Q(s, a, b) / β) in the published one.

    Args:
        table: Q(s, a, b), shape (S, A, B).
        leader: f(a | s), shape (S, A).
        temperature: β > 0.
        published: the order.
        weights: filled with w(b | s, a) for which ∂v(s) = Σ_ab f(a|s) w(b|s, a) ∂Q(s, a, b): the
            softmax policy, or the same distribution for all a; shape (S, A, B).
        value: filled with v, shape (S,).
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
