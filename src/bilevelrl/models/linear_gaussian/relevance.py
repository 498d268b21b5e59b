"""Bayesian linear regression whose prior is learned (MacKay 1992; Tipping 2001).

Coefficients are normal around zero with variances that groups of them share. Variances and noise
maximise the probability of the data, by expectation maximisation: where a group has told nothing
yet, its variance stays the 1 that it starts from; where its coefficients are zero, it vanishes.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index

#: Sweeps, at most, and until no variance changes by more than this share.
_SWEEPS, _STEADY = 300, 0.01
#: Of a prior variance; beyond, a coefficient is zero.
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Sums:
    """What is remembered of N equations: some outputs, of q, of rows of p inputs.

    Attributes:
        gram: Σ x xᵀ over the rows of each output, shape (q, p, p).
        moment: Σ x y, shape (p, q).
        squares: Σ y², shape (q,).
        number: N.
    """

    gram: Floats
    moment: Floats
    squares: Floats
    number: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Of the coefficients.

    Attributes:
        mean: shape (p, q).
        covariance: of each output's, shape (q, p, p).
        noise: standard deviation of the outputs around what is expected, the same for each.
    """

    mean: Floats
    covariance: Floats
    noise: float

    def drawn(self, normals: Floats) -> Floats:
        """Coefficients (p, q) that are as probable as the posterior says, from normals (p, q)."""
        roots = np.linalg.cholesky(self.covariance)
        added: Floats = (roots @ normals.T[:, :, None])[:, :, 0].T
        return self.mean + added


def regression(sums: Sums, groups: Index) -> Posterior:
    """What the equations say; the prior, and noise of size 1, where there is none.

    Args:
        sums: of the equations.
        groups: number of each coefficient's group, from 0, shape (p, q).
    """
    inputs, outputs = sums.moment.shape
    of, sizes = groups.T.ravel(), np.bincount(groups.ravel())
    variance = np.ones((outputs, inputs))
    if sums.number == 0.0:
        covariance = np.broadcast_to(np.eye(inputs), (outputs, inputs, inputs))
        return Posterior(np.zeros((inputs, outputs)), covariance, 1.0)
    noise = sums.squares.sum() / sums.number
    for _ in range(_SWEEPS):
        scale = np.sqrt(variance)
        inner = np.eye(inputs) + scale[:, :, None] * (sums.gram / noise) * scale[:, None, :]
        covariance = scale[:, :, None] * np.linalg.inv(inner) * scale[:, None, :]
        mean = (covariance @ sums.moment.T[:, :, None])[:, :, 0] / noise
        spread = np.diagonal(covariance, axis1=1, axis2=2)
        told = (1.0 - spread / variance).sum()
        missed = sums.squares - 2.0 * (mean * sums.moment.T).sum(axis=1)
        missed += ((sums.gram @ mean[:, :, None])[:, :, 0] * mean).sum(axis=1)
        # Rounding may leave less than nothing where rows have no noise.
        least = np.finfo(np.float64).eps * sums.squares.sum()
        before = np.append(variance, noise)
        noise = max(missed.sum(), least) / max(sums.number - told, 1.0)
        second = np.bincount(of, (np.square(mean) + spread).ravel()) / sizes
        variance = np.maximum(second, _LEAST)[of].reshape(outputs, inputs)
        if (np.abs(np.append(variance, noise) - before) <= _STEADY * before).all():
            break
    symmetric = 0.5 * (covariance + covariance.mT)
    return Posterior(mean.T, symmetric, float(np.sqrt(noise)))
