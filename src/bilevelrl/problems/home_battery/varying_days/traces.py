"""Sums over sequences of days of several types: normal equations, and the centred covariance.

Features φ have the shape (R, H, N, T + 1, P), of every hour and after the last one. A sequence has
T = 48 hours, of which the first 24 are those of the day that J is the mean of.
"""

import numba
import numpy as np

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.problems.home_battery.profiles import HOURS


@parallel_kernel
def value_equations(features, reward, discount, matrix, right):  # type: ignore[no-untyped-def]
    """Add a batch to those of V = w φ, LSTD (Bradtke and Barto 1996), with w for every hour.

    `reward` (R, H, N, T), `matrix` (R, H, 24 P, 24 P) and `right` (R, H, 24 P).
    """
    num_runs, num_houses, num_days, num_steps = reward.shape
    size = features.shape[4]
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    first, second = t % HOURS * size, (t + 1) % HOURS * size
                    here, there = features[r, i, d, t], features[r, i, d, t + 1]
                    for p in range(size):
                        right[r, i, first + p] += here[p] * reward[r, i, d, t]
                        for q in range(size):
                            matrix[r, i, first + p, first + q] += here[p] * here[q]
                            matrix[r, i, first + p, second + q] -= discount * here[p] * there[q]


@parallel_kernel
def differences(features, after, reward, discount, weights, advantage):  # type: ignore[no-untyped-def]
    """Fill r + γ w φ' - w φ of first days, shape (R, H, N, 24), φ' being `after`, of that length.

    `reward` has the shape of `advantage`, and `weights` (R, H, 24 P).
    """
    num_runs, num_houses, num_days, num_steps = advantage.shape
    size = features.shape[4]
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    total = reward[r, i, d, t]
                    for p in range(size):
                        total -= features[r, i, d, t, p] * weights[r, i, t * size + p]
                        following = (t + 1) % HOURS * size + p
                        total += discount * after[r, i, d, t, p] * weights[r, i, following]
                    advantage[r, i, d, t] = total


@parallel_kernel
def baseline_equations(features, bought, discount, gram, moment):  # type: ignore[no-untyped-def]
    """Add a batch to those of γ_F^{k-t} ψ_k on φ_t, for every t of the first day and every k >= t.

    ψ_k is minus `bought` (R, H, N, T); `gram` (R, H, 24, P, P) and `moment` (R, H, 24, P, T).
    """
    num_runs, num_houses, num_days, num_steps = bought.shape
    size = features.shape[4]
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(HOURS):
                    here = features[r, i, d, t]
                    for p in range(size):
                        for q in range(size):
                            gram[r, i, t, p, q] += here[p] * here[q]
                        weight = here[p]
                        for k in range(t, num_steps):
                            moment[r, i, t, p, k] -= weight * bought[r, i, d, k]
                            weight *= discount


@parallel_kernel
def covariance(  # type: ignore[no-untyped-def]
    types, features, injection, bought, coefficients, discount, total
):
    """Add Σ_t i_t Σ_{k>=t} (γ_F^{k-t} ψ_k - b_tk) to `total` (R, K, 24), in the place of k.

    `types` (R, N, T / 24), `injection` (R, H, N, 24), and b_tk = `coefficients` (R, H, 24, P, T) φ.
    """
    num_runs, num_houses, num_days, num_steps = bought.shape
    size = features.shape[4]
    for r in numba.prange(num_runs):
        expected = np.empty(num_steps)
        for i in range(num_houses):
            for d in range(num_days):
                expected[:] = 0.0
                for t in range(HOURS):
                    for p in range(size):
                        weight = injection[r, i, d, t] * features[r, i, d, t, p]
                        for k in range(t, num_steps):
                            expected[k] += weight * coefficients[r, i, t, p, k]
                trace = 0.0
                for k in range(num_steps):
                    trace *= discount
                    if k < HOURS:
                        trace += injection[r, i, d, k]
                    found = -trace * bought[r, i, d, k] - expected[k]
                    total[r, types[r, d, k // HOURS], k % HOURS] += found
