"""The soft dynamic program of one house over days whose type is drawn at midnight.

As `home_battery.kernels`, with an axis of K types before the 24 hours; `probability` is that of a
type, shape (K,). Today leads to all types of tomorrow.
"""

import numba
import numpy as np

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.problems.home_battery.day_kernels import mean_midnight
from bilevelrl.problems.home_battery.kernels import plan_day


@parallel_kernel
def plan(  # type: ignore[no-untyped-def]
    reward, allowed, lower, share, temperature, probability, discount, tolerance, max_days, value,
    policy, accuracy, days,
):  # fmt: skip
    """Days backwards for N rows, from V in `value` (N, K, 24, C), until midnight is certain.

    What bounds the error of the mean over types at midnight is that of `home_battery.kernels.plan`.
    """
    num_rows, num_types, num_hours, num_charges, _ = reward.shape
    daily = discount**num_hours
    for n in numba.prange(num_rows):
        accuracy[n], days[n] = np.inf, 0
        before, after = np.empty(num_charges), np.empty(num_charges)
        while days[n] < max_days and accuracy[n] > tolerance:
            mean_midnight(probability, value[n], before)
            for m in range(num_types):
                value[n, m, 0] = before
                plan_day(
                    reward[n, m], allowed, lower, share, temperature[n], discount, value[n, m],
                    policy[n, m],
                )  # fmt: skip
            mean_midnight(probability, value[n], after)
            change = after - before
            least, most = change.min(), change.max()
            accuracy[n] = 0.5 * (most - least) * daily / (1.0 - daily)
            days[n] += 1
            shift = 0.5 * (most + least) / (1.0 - daily)
            for h in range(num_hours):
                value[n, :, h] += shift * discount ** (num_hours - h)
