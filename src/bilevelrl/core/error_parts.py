"""The error of a hypergradient estimate in three parts: lag, belief and variance.

Let g* be the hypergradient, g(π) the same formula at the policy π that the follower plays, and ĝ an
estimate. With l = g(π) - g* and b = E[ĝ] - g(π),

    E|ĝ - g*|² = l·(l + b) + b·(l + b) + E|ĝ - E ĝ|² = lag + belief + variance.

The product 2 l·b belongs to both, half each; so a part is 0 where its vector is, and below 0 where
it makes up for the other. E is over the batch of one update: what a critic has learned by then
belongs to the belief.
"""

import numpy as np

from bilevelrl.core.arrays import Floats

PARTS = ("lag_error", "belief_error", "variance_error")
#: |g*|², which the parts are relative to.
SQUARE = "hypergradient_square"


def error_parts(exact: Floats, played: Floats, estimates: Floats) -> dict[str, Floats]:
    """`PARTS` and `SQUARE`, each (R,), in the unit of |g*|².

    From K estimates that differ in their batches alone, every part is unbiased, and the three sum
    to the mean of |ĝ - g*|² over these K.

    Args:
        exact: g*, shape (R, D).
        played: g(π), shape (R, D).
        estimates: K independent ĝ, shape (K, R, D).

    Raises:
        ValueError: if K is less than 2.
    """
    number = len(estimates)
    if number < 2:
        raise ValueError(f"estimates must be at least 2, got {number}")
    own = np.ascontiguousarray(estimates.swapaxes(0, 1))  # bits must not depend on the batch
    mean = own.sum(axis=1) / number
    squares = np.square(own - mean[:, None]).reshape(len(own), -1)
    variance = squares.sum(axis=1) / (number - 1)
    lag, belief = played - exact, mean - played
    both = (lag * belief).sum(axis=1)
    lag_error, belief_error, variance_error = PARTS
    return {
        lag_error: np.square(lag).sum(axis=1) + both,
        belief_error: np.square(belief).sum(axis=1) - variance / number + both,
        variance_error: variance,
        SQUARE: np.square(exact).sum(axis=1),
    }
