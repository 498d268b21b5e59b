"""Dynamic programs of one house over the hours of a day that repeats.

Arrays of hours have them as their first axis (24). `lower` and `share`, shape (C, A), tell where an
action leads; see `grid.Grid`. A policy is 0 where an action is refused.
"""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel


@kernel
def plan_day(reward, allowed, lower, share, temperature, discount, value, policy):  # type: ignore[no-untyped-def]
    """One day backwards, V of the next midnight being `value[0]`; fills V (24, C) and π."""
    num_hours, num_charges, num_actions = reward.shape
    after = value[0].copy()
    score = np.empty(num_actions)
    for h in range(num_hours - 1, -1, -1):
        for c in range(num_charges):
            top = -np.inf
            for a in range(num_actions):
                if allowed[c, a]:
                    k, w = lower[c, a], share[c, a]
                    score[a] = reward[h, c, a] + discount * (
                        (1.0 - w) * after[k] + w * after[k + 1]
                    )
                    top = max(top, score[a])
            total = 0.0
            for a in range(num_actions):
                policy[h, c, a] = 0.0
                if allowed[c, a]:
                    policy[h, c, a] = np.exp((score[a] - top) / temperature)
                    total += policy[h, c, a]
            for a in range(num_actions):
                policy[h, c, a] /= total
            value[h, c] = top + temperature * np.log(total)
        after = value[h].copy()


@parallel_kernel
def plan(  # type: ignore[no-untyped-def]
    reward, allowed, lower, share, temperature, discount, tolerance, max_days, value, policy,
    accuracy, days,
):  # fmt: skip
    """Days backwards for N rows, from V in `value` (N, 24, C), until V of midnight is certain.

    A day maps V to T V, a contraction by γ^24 that moves constants along: V* lies within
    T V + γ^24 / (1 - γ^24) [min, max](T V - V). The middle of that is where the next day starts,
    its half width is the accuracy. `max_days` of each row, shape (N,); with tolerance < 0 exactly
    so many are planned, and nothing is added to T V.
    """
    num_rows, num_hours = reward.shape[:2]
    daily = discount**num_hours
    for n in numba.prange(num_rows):
        accuracy[n], days[n] = np.inf, 0
        while days[n] < max_days[n] and accuracy[n] > tolerance:
            before = value[n, 0].copy()
            plan_day(
                reward[n], allowed, lower, share, temperature[n], discount, value[n], policy[n]
            )
            change = value[n, 0] - before
            least, most = change.min(), change.max()
            accuracy[n] = 0.5 * (most - least) * daily / (1.0 - daily)
            days[n] += 1
            if tolerance >= 0.0:
                shift = 0.5 * (most + least) / (1.0 - daily)
                for h in range(num_hours):
                    value[n, h] += shift * discount ** (num_hours - h)
            else:
                largest = max(abs(least), abs(most))
                accuracy[n] = largest * daily / (1.0 - daily)


@kernel
def chain_of(policy, lower, share, chain):  # type: ignore[no-untyped-def]
    """Fill P(c' | h, c), shape (24, C, C)."""
    num_hours, num_charges, num_actions = policy.shape
    chain[:] = 0.0
    for h in range(num_hours):
        for c in range(num_charges):
            for a in range(num_actions):
                p, k, w = policy[h, c, a], lower[c, a], share[c, a]
                chain[h, c, k] += p * (1.0 - w)
                chain[h, c, k + 1] += p * w


@kernel
def pushed(source, chain, after):  # type: ignore[no-untyped-def]
    """Fill source · P of one hour, both shape (C,)."""
    after[:] = 0.0
    for c in range(len(source)):
        for k in range(len(source)):
            after[k] += source[c] * chain[c, k]


@kernel
def expect_back(chain, paid, discount, value):  # type: ignore[no-untyped-def]
    """One day backwards under a policy, V of the next midnight being `value[0]`; fills V."""
    num_hours, num_charges = value.shape
    after = value[0].copy()
    for h in range(num_hours - 1, -1, -1):
        for c in range(num_charges):
            total = 0.0
            for k in range(num_charges):
                total += chain[h, c, k] * after[k]
            value[h, c] = paid[h, c] + discount * total
        after = value[h].copy()


@parallel_kernel
def evaluate(policy, reward, lower, share, discount, tolerance, max_days, value, residual):  # type: ignore[no-untyped-def]
    """Fill V(h, c) under π, shape (N, 24, C), of rewards (N, 24, C, A), for γ < 1.

    Constants are moved along as in `plan`; `residual` (N,) bounds the error at midnight.
    """
    num_rows, num_hours, num_charges, num_actions = policy.shape
    daily = discount**num_hours
    for n in numba.prange(num_rows):
        chain = np.empty((num_hours, num_charges, num_charges))
        chain_of(policy[n], lower, share, chain)
        paid = np.zeros((num_hours, num_charges))
        for h in range(num_hours):
            for c in range(num_charges):
                for a in range(num_actions):
                    paid[h, c] += policy[n, h, c, a] * reward[n, h, c, a]
        value[n] = 0.0
        residual[n] = np.inf
        for _ in range(max_days):
            before = value[n, 0].copy()
            expect_back(chain, paid, discount, value[n])
            change = value[n, 0] - before
            least, most = change.min(), change.max()
            residual[n] = 0.5 * (most - least) * daily / (1.0 - daily)
            shift = 0.5 * (most + least) / (1.0 - daily)
            for h in range(num_hours):
                value[n, h] += shift * discount ** (num_hours - h)
            if residual[n] <= tolerance:
                break
