"""The sweeps of AMD: values of all sweeps first, then gradients with the weights that these leave.

Values need no gradients. Of ∂Q_F and ∂Q_L, (S, A, D), three tables of states are enough: ∂V_F, the
one before it, of which ∂Q_F is made, and ∂V_L.
"""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel


@kernel
def _soften(action_value, temperature, policy):  # type: ignore[no-untyped-def]
    """Fill `policy` (A,) with softmax(Q / β); returns Σ_a π Q + β H(π) = β log Σ_a exp(Q / β)."""
    top, total = action_value.max(), 0.0
    for a in range(len(policy)):
        policy[a] = np.exp((action_value[a] - top) / temperature)
        total += policy[a]
    for a in range(len(policy)):
        policy[a] /= total
    return top + temperature * np.log(total)


@kernel
def _sweep_values(  # type: ignore[no-untyped-def]
    model, follower_reward, leader_reward, beta, follower, leader, shares, covariances
):
    """Sweep Q_F and Q_L of one run, (S, A), N times; fill the weights of ∂Q, (N, S, K').

    `shares` has γ P̄ of each successor, where P̄ is that of π, and `covariances` has
    γ Σ_a π A_L (P - P̄) / β, with A_L and P̄ of the sweep before.
    """
    num_states, num_actions = follower.shape
    num_successors = model.successor.shape[1]
    policy = np.empty((num_states, num_actions))
    advantage = np.empty((num_states, num_actions))
    soft, value = np.empty(num_states), np.empty(num_states)
    reached = np.zeros((num_states, num_successors))
    for s in range(num_states):
        soft[s] = _soften(follower[s], beta, policy[s])
    for n in range(len(shares)):
        for s in range(num_states):
            mean = 0.0
            for a in range(num_actions):
                mean += policy[s, a] * leader[s, a]
            value[s] = mean
            for k in range(num_successors):
                mean = 0.0
                for a in range(num_actions):
                    mean += policy[s, a] * model.probability[s, a, k]
                reached[s, k] = mean
            for a in range(num_actions):
                advantage[s, a] = (leader[s, a] - value[s]) / beta
        for s in range(num_states):
            discount = model.discount[s]
            for a in range(num_actions):
                later, own = 0.0, 0.0
                for k in range(num_successors):
                    p, t = model.probability[s, a, k], model.successor[s, k]
                    later += p * soft[t]
                    own += p * value[t]
                follower[s, a] = follower_reward[s, a] + discount * later
                leader[s, a] = leader_reward[s, a] + discount * own
        for s in range(num_states):
            soft[s] = _soften(follower[s], beta, policy[s])
            for k in range(num_successors):
                onwards, covariance = 0.0, 0.0
                for a in range(num_actions):
                    p = model.probability[s, a, k]
                    onwards += policy[s, a] * p
                    covariance += policy[s, a] * advantage[s, a] * (p - reached[s, k])
                shares[n, s, k] = model.discount[s] * onwards
                covariances[n, s, k] = model.discount[s] * covariance


@kernel
def _row(tables, start, size):  # type: ignore[no-untyped-def]
    """A row (D,) of one of the tables that lie behind each other."""
    return tables[start : start + size]


@kernel
def _add_others(tables, places, rows, size, shares, covariances):  # type: ignore[no-untyped-def]
    """Add to the tables of a sweep what comes from the fifth successor and later ones."""
    older, newer, spare, current, following = places
    for s in range(len(rows)):
        for k in range(4, rows.shape[1]):
            share, covariance, row = shares[s, k], covariances[s, k], rows[s, k]
            for j in range(size):
                to = s * size + j
                tables[spare + to] += share * tables[newer + row + j]
                tables[following + to] += share * tables[current + row + j]
                tables[following + to] += covariance * tables[older + row + j]


@kernel
def _sweep_gradients(  # type: ignore[no-untyped-def]
    rows, follower_slope, leader_slope, shares, covariances, slopes, gradient
):
    """Sweep ∂V_F, the last two of it (2, S, D), and ∂V_L, (S, D), of one run with these weights.

    One flat array holds all tables, and `rows` says where in a table those of the successors begin:
    LLVM makes no vectors of loops over that many arrays, which could overlap.
    """
    num_states, size = gradient.shape
    length = num_states * size
    tables = np.empty(5 * length)
    tables[: 2 * length] = slopes.reshape(-1)
    tables[3 * length : 4 * length] = gradient.reshape(-1)
    older, newer, spare, current, following = 0, length, 2 * length, 3 * length, 4 * length
    for n in range(len(shares)):
        for s in range(num_states):
            k0, k1, k2, k3 = rows[s, 0], rows[s, 1], rows[s, 2], rows[s, 3]
            a, b, c, d = shares[n, s, 0], shares[n, s, 1], shares[n, s, 2], shares[n, s, 3]
            e, f = covariances[n, s, 0], covariances[n, s, 1]
            g, h = covariances[n, s, 2], covariances[n, s, 3]
            slope, own = follower_slope[s], _row(tables, spare + s * size, size)
            x0, x1 = _row(tables, newer + k0, size), _row(tables, newer + k1, size)
            x2, x3 = _row(tables, newer + k2, size), _row(tables, newer + k3, size)
            for j in range(size):
                own[j] = slope[j] + (a * x0[j] + b * x1[j] + c * x2[j] + d * x3[j])
            gain, total = leader_slope[s], _row(tables, following + s * size, size)
            y0, y1 = _row(tables, current + k0, size), _row(tables, current + k1, size)
            y2, y3 = _row(tables, current + k2, size), _row(tables, current + k3, size)
            z0, z1 = _row(tables, older + k0, size), _row(tables, older + k1, size)
            z2, z3 = _row(tables, older + k2, size), _row(tables, older + k3, size)
            for j in range(size):
                onwards = a * y0[j] + b * y1[j] + c * y2[j] + d * y3[j]
                total[j] = gain[j] + onwards + (e * z0[j] + f * z1[j] + g * z2[j] + h * z3[j])
        if rows.shape[1] > 4:
            places = (older, newer, spare, current, following)
            _add_others(tables, places, rows, size, shares[n], covariances[n])
        older, newer, spare = newer, spare, older
        current, following = following, current
    slopes[0] = _row(tables, older, length).reshape(num_states, size)
    slopes[1] = _row(tables, newer, length).reshape(num_states, size)
    gradient[:] = _row(tables, current, length).reshape(num_states, size)


@parallel_kernel
def sweep(  # type: ignore[no-untyped-def]
    model, follower_reward, leader_reward, follower_slope, leader_slope, temperature, num_sweeps,
    follower, leader, slopes, gradient, estimate,
):  # fmt: skip
    """Sweep the tables of all runs in place; fill `estimate`, (R, D), with ∂V_L at the start.

    Rewards are (R, S, A), their gradients, alike for every action, (R, S, D), and β is (R,). Q_F
    and Q_L are (R, S, A), the last but one and the last ∂V_F (R, 2, S, D), and ∂V_L (R, S, D).
    """
    num_runs, num_states, _ = follower.shape
    num_successors, size = model.successor.shape[1], gradient.shape[2]
    padded = max(num_successors, 4)
    for r in numba.prange(num_runs):
        shares = np.zeros((num_sweeps, num_states, padded))
        covariances = np.zeros((num_sweeps, num_states, padded))
        rows = np.zeros((num_states, padded), np.int64)
        rows[:, :num_successors] = model.successor * size
        _sweep_values(
            model, follower_reward[r], leader_reward[r], temperature[r],
            follower[r], leader[r], shares, covariances,
        )  # fmt: skip
        _sweep_gradients(
            rows, follower_slope[r], leader_slope[r], shares, covariances, slopes[r], gradient[r]
        )
        estimate[r] = 0.0
        for s in range(num_states):
            for j in range(size):
                estimate[r, j] += model.initial[s] * gradient[r, s, j]
