"""The maximum-likelihood estimate of a policy over finitely many actions."""

import numpy as np

from bilevelrl.core.arrays import Floats


def frequencies(counts: Floats, smoothing: float) -> Floats:
    """Shares along the last axis, mixed with a share `smoothing` of uniform ones.

    Uniform where all counts are zero. The mixture does not fade with the number of counts: an
    action too rare to be seen keeps its weight.
    """
    total = counts.sum(axis=-1, keepdims=True)
    uniform = 1.0 / counts.shape[-1]
    share = np.where(total > 0.0, counts / np.where(total > 0.0, total, 1.0), uniform)
    mixed: Floats = (1.0 - smoothing) * share + smoothing * uniform
    return mixed
