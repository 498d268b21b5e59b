"""The indirect term of BC-HG from sampled days, and its baseline.

With i_t = γ_L^t A_L(t) / β in the first day of a sequence and ψ_k = -max(e_k, 0) in the coordinate
of its hour, Σ_t i_t Σ_{k>=t} γ_F^{k-t} ψ_k is one forward trace; see `core.trace`. A sequence ends
T hours after its midnight, and with it the inner sum.
"""

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.problems.home_battery.profiles import HOURS


@kernel
def powers_of(share, power):  # type: ignore[no-untyped-def]
    """Fill Legendre's polynomials of a share of the full charge, P_0 to P_{n-1} on [0, 1]."""
    x = 2.0 * share - 1.0
    power[0] = 1.0
    if len(power) > 1:
        power[1] = x
    for p in range(2, len(power)):
        power[p] = ((2 * p - 1) * x * power[p - 1] - (p - 1) * power[p - 2]) / p


def traced(injection: Floats, bought: Floats, discount: float) -> Floats:
    """Mean over N of Σ_t i_t Σ_{k>=t} γ_F^{k-t} ψ_k, summed over houses, shape (R, 24).

    For injections (R, H, N, 24) and energy that was bought, (R, H, N, T), in kWh.
    """
    total = np.zeros((len(bought), HOURS))
    _trace(injection, bought, discount, total)
    mean: Floats = total / bought.shape[2]
    return mean


@parallel_kernel
def _trace(injection, bought, discount, total):  # type: ignore[no-untyped-def]
    num_runs, num_houses, num_days, num_steps = bought.shape
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                trace = 0.0
                for t in range(num_steps):
                    trace *= discount
                    if t < HOURS:
                        trace += injection[r, i, d, t]
                    total[r, t % HOURS] -= trace * bought[r, i, d, t]


@parallel_kernel
def see(charge, bought, discount, gram, moment):  # type: ignore[no-untyped-def]
    """Add a batch to the normal equations of Σ_{k>=t} γ_F^{k-t} ψ_k on polynomials of the charge.

    `charge` (R, H, N, T + 1) is a share of the full one; `gram` (R, H, 24, P, P) and `moment`
    (R, H, 24, P, 24) have one regression for each hour of the first day.
    """
    num_runs, num_houses, num_days, num_steps = bought.shape
    size = gram.shape[3]
    for r in numba.prange(num_runs):
        power = np.empty(size)
        for i in range(num_houses):
            for d in range(num_days):
                ahead = np.zeros(HOURS)
                for t in range(num_steps - 1, -1, -1):
                    ahead *= discount
                    ahead[t % HOURS] -= bought[r, i, d, t]
                    if t < HOURS:
                        powers_of(charge[r, i, d, t], power)
                        for p in range(size):
                            for q in range(size):
                                gram[r, i, t, p, q] += power[p] * power[q]
                            for j in range(HOURS):
                                moment[r, i, t, p, j] += power[p] * ahead[j]


@parallel_kernel
def explained(charge, injection, coefficients, total):  # type: ignore[no-untyped-def]
    """Add Σ_t i_t b(h_t, c_t) over all houses and days to `total`, shape (R, 24)."""
    num_runs, num_houses, num_days, num_steps = injection.shape
    size = coefficients.shape[3]
    for r in numba.prange(num_runs):
        power = np.empty(size)
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    powers_of(charge[r, i, d, t], power)
                    for p in range(size):
                        weight = injection[r, i, d, t] * power[p]
                        for j in range(HOURS):
                            total[r, j] += weight * coefficients[r, i, t, p, j]
