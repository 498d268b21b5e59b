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


@parallel_kernel
def occupy(policy, lower, share, discount, tolerance, max_days, occupancy, residual):  # type: ignore[no-untyped-def]
    """Fill d_h(c), shape (N, 24, C), of an empty battery n midnights later, n geometric.

    d_0 = (1 - γ^24) 1[c = 0] + γ^24 d_0 P_0 ... P_23, by repeated days; `residual` (N,) is how much
    the last one changed.
    """
    num_rows, num_hours, num_charges, _ = policy.shape
    daily = discount**num_hours
    for n in numba.prange(num_rows):
        chain = np.empty((num_hours, num_charges, num_charges))
        chain_of(policy[n], lower, share, chain)
        own, midnight = occupancy[n], np.empty(num_charges)
        own[0] = 0.0
        own[0, 0] = 1.0
        residual[n] = np.inf
        for _ in range(max_days):
            for h in range(num_hours - 1):
                pushed(own[h], chain[h], own[h + 1])
            pushed(own[num_hours - 1], chain[num_hours - 1], midnight)
            residual[n] = 0.0
            for c in range(num_charges):
                new = daily * midnight[c]
                if c == 0:
                    new += 1.0 - daily
                residual[n] = max(residual[n], abs(new - own[0, c]))
                own[0, c] = new
            if residual[n] <= tolerance:
                break
        for h in range(num_hours - 1):
            pushed(own[h], chain[h], own[h + 1])


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
def advantages(  # type: ignore[no-untyped-def]
    policy, reward, lower, share, discount, tolerance, max_days, advantage, residual
):
    """Fill A(h, c, a) = Q - Σ_a π Q, shape (N, 24, C, A), of rewards of the same shape.

    Values are relative, V of an empty battery at midnight being 0, so that γ = 1 is allowed;
    `residual` (N,) is how much the last day changed them.
    """
    num_rows, num_hours, num_charges, num_actions = policy.shape
    for n in numba.prange(num_rows):
        chain = np.empty((num_hours, num_charges, num_charges))
        chain_of(policy[n], lower, share, chain)
        paid, value = np.zeros((2, num_hours, num_charges))
        for h in range(num_hours):
            for c in range(num_charges):
                for a in range(num_actions):
                    paid[h, c] += policy[n, h, c, a] * reward[n, h, c, a]
        residual[n] = np.inf
        for _ in range(max_days):
            before = value[0].copy()
            expect_back(chain, paid, discount, value)
            value[0] -= value[0, 0]
            residual[n] = np.abs(value[0] - before).max()
            if residual[n] <= tolerance:
                break
        for h in range(num_hours):
            after = value[(h + 1) % num_hours]
            for c in range(num_charges):
                mean = 0.0
                for a in range(num_actions):
                    k, w = lower[c, a], share[c, a]
                    advantage[n, h, c, a] = reward[n, h, c, a] + discount * (
                        (1.0 - w) * after[k] + w * after[k + 1]
                    )
                    mean += policy[n, h, c, a] * advantage[n, h, c, a]
                for a in range(num_actions):
                    advantage[n, h, c, a] -= mean


@parallel_kernel
def flow(  # type: ignore[no-untyped-def]
    policy, injected, lower, share, discount, tolerance, max_days, weights, residual
):
    """Fill W = I + x π, where x is what W carries on: x_{h+1} = γ Σ_{c, a} W_h(c, a) P(· | c, a).

    I and W have the shape (N, 24, C, A), and I sums to nothing over the actions. W(h, c, a) is the
    weight of ∇_θ r_F there.
    """
    num_rows, num_hours, num_charges, num_actions = policy.shape
    for n in numba.prange(num_rows):
        chain = np.empty((num_hours, num_charges, num_charges))
        chain_of(policy[n], lower, share, chain)
        first, carried = np.zeros((2, num_hours, num_charges))  # by the injection alone; by all
        for h in range(num_hours):
            for c in range(num_charges):
                for a in range(num_actions):
                    i, k, w = injected[n, h, c, a], lower[c, a], share[c, a]
                    first[h, k] += discount * i * (1.0 - w)
                    first[h, k + 1] += discount * i * w
        after = np.empty(num_charges)
        residual[n] = np.inf
        for _ in range(max_days):
            residual[n] = 0.0
            for h in range(num_hours):
                pushed(carried[h], chain[h], after)
                following = (h + 1) % num_hours
                for c in range(num_charges):
                    new = first[h, c] + discount * after[c]
                    if following == 0:
                        residual[n] = max(residual[n], abs(new - carried[0, c]))
                    carried[following, c] = new
            if residual[n] <= tolerance:
                break
        for h in range(num_hours):
            for c in range(num_charges):
                for a in range(num_actions):
                    weights[n, h, c, a] = injected[n, h, c, a] + carried[h, c] * policy[n, h, c, a]


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
