"""Exact ascent of games with few parameters from many random starts."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bilevelrl.ascent import Adam, geometric_decay
from bilevelrl.config import AscentParams
from bilevelrl.estimators.exact import Hypergradient

Floats = NDArray[np.float64]


def climb(
    hypergradient: Callable[[Floats], Hypergradient], num_parameters: int, search: AscentParams
) -> tuple[Floats, Floats, Floats]:
    """Adam along the direction of the exact hypergradient, from θ ~ N(0, spread²).

    Args:
        hypergradient: dJ/dθ and J at θ, shape (N, D).
        num_parameters: D.
        search: number of starts and updates, spread, first step size; this falls to a thousandth.

    Returns:
        Starts (N, D), the θ with the highest J on the way from each (N, D), that J (N,).
    """
    shape = (search.starts, num_parameters)
    starts = search.spread * np.random.default_rng(search.seed).standard_normal(shape)
    decay = geometric_decay(1e-3, search.num_updates)
    rule = Adam(np.full(search.starts, search.step_size), normalise=True, decay=decay)
    theta, slopes = starts.copy(), rule.start(shape)
    best, highest = starts.copy(), np.full(search.starts, -np.inf)
    for _ in range(search.num_updates):
        truth = hypergradient(theta)
        better = truth.leader_return > highest
        best[better], highest[better] = theta[better], truth.leader_return[better]
        theta = rule.step(theta, truth.total, slopes)
    return starts, best, highest
