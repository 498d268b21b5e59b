"""What a policy leads to over days whose type is drawn at midnight, by repeated days.

Arrays have an axis of K types before the 24 hours; `probability` is that of a type, shape (K,), and
today leads to all types of tomorrow. Days that are drawn alike are of one type. `lower` and `share`
are those of `kernels`.
"""

import numba
import numpy as np

from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.problems.home_battery.kernels import chain_of, pushed


@kernel
def mean_midnight(probability, value, mean):  # type: ignore[no-untyped-def]
    """Fill Σ_m q_m V_m(0, c), shape (C,)."""
    mean[:] = 0.0
    for m in range(len(probability)):
        for c in range(len(mean)):
            mean[c] += probability[m] * value[m, 0, c]


@kernel
def _chains(policy, lower, share):  # type: ignore[no-untyped-def]
    # P_m(c' | h, c), shape (K, 24, C, C).
    num_types, num_hours, num_charges, _ = policy.shape
    chains = np.empty((num_types, num_hours, num_charges, num_charges))
    for m in range(num_types):
        chain_of(policy[m], lower, share, chains[m])
    return chains


@parallel_kernel
def occupy(  # type: ignore[no-untyped-def]
    policy, lower, share, probability, discount, tolerance, max_days, occupancy, residual
):
    """Fill d_m,h(c), shape (N, K, 24, C), of an empty battery n midnights later, n geometric.

    With P_m of a whole day, d_0 = (1 - γ^24) 1[c = 0] + γ^24 Σ_m q_m d_0 P_m. The mass of a type is
    its probability; `residual` (N,) is how much the last day changed midnight.
    """
    num_rows, num_types, num_hours, num_charges, _ = policy.shape
    daily = discount**num_hours
    for n in numba.prange(num_rows):
        chains, own = _chains(policy[n], lower, share), occupancy[n]
        # Filled anew every day, because Numba moves an allocation out of a parallel loop.
        midnight, ended = np.zeros(num_charges), np.empty(num_charges)
        following = np.empty(num_charges)
        midnight[0] = 1.0
        residual[n] = np.inf
        for _ in range(max_days):
            following[:] = 0.0
            following[0] = 1.0 - daily
            for m in range(num_types):
                own[m, 0] = probability[m] * midnight
                for h in range(num_hours - 1):
                    pushed(own[m, h], chains[m, h], own[m, h + 1])
                pushed(own[m, num_hours - 1], chains[m, num_hours - 1], ended)
                following += daily * ended
            residual[n] = np.abs(following - midnight).max()
            midnight[:] = following
            if residual[n] <= tolerance:
                break


@parallel_kernel
def advantages(  # type: ignore[no-untyped-def]
    policy, reward, lower, share, probability, discount, tolerance, max_days, advantage, residual
):
    """Fill A(m, h, c, a) = Q - Σ_a π Q, shape (N, K, 24, C, A), of rewards of the same shape.

    Values are relative, the mean V of an empty battery at midnight being 0, so that γ = 1 is
    allowed; `residual` (N,) is how much the last day changed them.
    """
    num_rows, num_types, num_hours, num_charges, num_actions = policy.shape
    for n in numba.prange(num_rows):
        chains = _chains(policy[n], lower, share)
        value = np.zeros((num_types, num_hours + 1, num_charges))
        midnight, mean = np.zeros(num_charges), np.empty(num_charges)
        paid = np.zeros((num_types, num_hours, num_charges))
        for m in range(num_types):
            for h in range(num_hours):
                for c in range(num_charges):
                    for a in range(num_actions):
                        paid[m, h, c] += policy[n, m, h, c, a] * reward[n, m, h, c, a]
        residual[n] = np.inf
        for _ in range(max_days):
            for m in range(num_types):
                value[m, num_hours] = midnight
                for h in range(num_hours - 1, -1, -1):
                    for c in range(num_charges):
                        total = 0.0
                        for k in range(num_charges):
                            total += chains[m, h, c, k] * value[m, h + 1, k]
                        value[m, h, c] = paid[m, h, c] + discount * total
            mean_midnight(probability, value, mean)
            mean -= mean[0]
            residual[n] = np.abs(mean - midnight).max()
            midnight[:] = mean
            if residual[n] <= tolerance:
                break
        for m in range(num_types):
            for h in range(num_hours):
                for c in range(num_charges):
                    usual = 0.0
                    for a in range(num_actions):
                        k, w = lower[c, a], share[c, a]
                        after = value[m, h + 1]
                        advantage[n, m, h, c, a] = reward[n, m, h, c, a] + discount * (
                            (1.0 - w) * after[k] + w * after[k + 1]
                        )
                        usual += policy[n, m, h, c, a] * advantage[n, m, h, c, a]
                    for a in range(num_actions):
                        advantage[n, m, h, c, a] -= usual


@parallel_kernel
def flow(  # type: ignore[no-untyped-def]
    policy, injected, lower, share, probability, discount, tolerance, max_days, weights, residual
):
    """Fill W = I + x π, where x is what W carries on: x_{h+1} = γ Σ_{c, a} W_h(c, a) P(· | c, a).

    I and W have the shape (N, K, 24, C, A), and I sums to nothing over the actions. What arrives at
    midnight is shared by all types. W(m, h, c, a) is the weight of ∇_θ r_F there.
    """
    num_rows, num_types, num_hours, num_charges, num_actions = policy.shape
    for n in numba.prange(num_rows):
        chains = _chains(policy[n], lower, share)
        first = np.zeros((num_types, num_hours, num_charges))
        for m in range(num_types):
            for h in range(num_hours):
                for c in range(num_charges):
                    for a in range(num_actions):
                        i, k, w = injected[n, m, h, c, a], lower[c, a], share[c, a]
                        first[m, h, k] += discount * i * (1.0 - w)
                        first[m, h, k + 1] += discount * i * w
        carried = np.zeros((num_types, num_hours, num_charges))
        midnight, after = np.zeros(num_charges), np.empty(num_charges)
        following = np.empty(num_charges)
        residual[n] = np.inf
        for _ in range(max_days):
            following[:] = 0.0
            for m in range(num_types):
                carried[m, 0] = probability[m] * midnight
                for h in range(num_hours):
                    pushed(carried[m, h], chains[m, h], after)
                    if h + 1 < num_hours:
                        carried[m, h + 1] = first[m, h] + discount * after
                    else:
                        following += first[m, h] + discount * after
            residual[n] = np.abs(following - midnight).max()
            midnight[:] = following
            if residual[n] <= tolerance:
                break
        for m in range(num_types):
            for h in range(num_hours):
                for c in range(num_charges):
                    for a in range(num_actions):
                        x = carried[m, h, c] * policy[n, m, h, c, a]
                        weights[n, m, h, c, a] = injected[n, m, h, c, a] + x
