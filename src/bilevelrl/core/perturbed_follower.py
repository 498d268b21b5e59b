"""Perturbed follower: pay the follower a little of what the leader wants, and see what it changes.

By the envelope theorem dJ/dθ = direct + dG/dε at 0, where G(ε) is what the leader's parameters act
on in the answer of a follower that is paid ε times the leader's objective. Two more answers stand
in for the derivative (arXiv 2402.06886 has penalty methods that rest on it).
"""

from collections.abc import Callable

import numpy as np

from bilevelrl.core.arrays import Floats


def derivative(
    answer: Callable[[Floats], Floats], epsilon: Floats, at_zero: Floats | None = None
) -> Floats:
    """dG/dε at 0, shape (R, D), from answers to small payments.

    (G(ε) - G(-ε)) / 2ε, which is off by O(ε²), or (G(ε) - G(0)) / ε, which is off by O(ε) and needs
    one answer less. Noise of G is divided by 2ε or ε.

    Args:
        answer: ε of each run, shape (R,), to G, shape (R, D).
        epsilon: of each run, positive, shape (R,).
        at_zero: G(0), shape (R, D), where the one-sided quotient is wanted.

    Raises:
        ValueError: if an ε is not positive.
    """
    for run, value in enumerate(epsilon):
        if not 0.0 < value < np.inf:
            raise ValueError(f"epsilon = {value} of run {run}: it must be positive and finite")
    ahead = answer(epsilon)
    if at_zero is not None:
        one_sided: Floats = (ahead - at_zero) / epsilon[:, None]
        return one_sided
    two_sided: Floats = (ahead - answer(-epsilon)) / (2.0 * epsilon[:, None])
    return two_sided
