"""What congestion makes of a change of flows, whatever is known of W = ∂w/∂c."""

from collections.abc import Callable

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import NotConverged


def feedback(
    product: Callable[[Floats], Floats],
    slope: Floats,
    right: Floats,
    scale: Floats,
    accuracy: float,
) -> Floats:
    """(I - W diag(t'))⁻¹ b, shape (L,), for a symmetric, negative semidefinite W (L, L).

    With D = √t' it is b + W D v where (I - D W D) v = D b is solved by conjugate gradients until
    the residual is `accuracy` of where it began, in the 2-norm. All eigenvalues of that matrix are
    1 or more, also for a W of low rank that was estimated from few trips: nothing needs to be added
    to its diagonal.

    Args:
        product: u to W u, both (L,).
        slope: t' in minutes per vehicle, at least 0, shape (L,).
        right: b, shape (L,).
        scale: preconditioner, an approximate inverse of the diagonal of I - D W D, shape (L,).
        accuracy: see above.
    """
    root = np.sqrt(slope)
    wanted = root * right
    solution = np.zeros_like(right)
    response = np.zeros_like(right)  # W D of the solution
    residual = wanted.copy()
    aim = accuracy * np.sqrt(np.square(wanted).sum())
    direction, inner = np.zeros_like(right), 1.0
    for _ in range(10 * len(right)):
        if np.sqrt(np.square(residual).sum()) <= aim:
            break
        scaled = scale * residual
        before, inner = inner, (scaled * residual).sum()
        direction = scaled + (inner / before) * direction
        spread = product(root * direction)
        image = direction - root * spread
        step = inner / (direction * image).sum()
        solution += step * direction
        response += step * spread
        residual -= step * image
    else:
        raise NotConverged(f"the adjoint of {len(right)} links misses the accuracy {accuracy:g}")
    answer: Floats = right + response
    return answer
