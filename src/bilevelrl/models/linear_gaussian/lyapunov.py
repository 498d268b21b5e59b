"""Discounted sums along a linear system: the solutions of discrete Lyapunov equations."""

import numpy as np

from bilevelrl.core.arrays import Floats

_DOUBLINGS = 50  # sums of up to 2⁵⁰ terms


def discounted_sum(matrix: Floats, weight: Floats) -> Floats:
    """Σ_{k≥0} (Aᵏ)ᵀ Y Aᵏ of stacks (..., n, n); not finite where A is unstable.

    X ← X + Aᵀ X A and A ← A² double the number of terms, until A is zero to the last bit.
    """
    total = weight
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_DOUBLINGS):
            total = total + matrix.mT @ total @ matrix
            matrix = matrix @ matrix
            if not matrix.any():
                break
    return total
