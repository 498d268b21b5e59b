"""Solutions of (I - M) x = b for a matrix M >= 0 on the links of a network: dense, or sparse.

Elimination needs no pivoting: where the spectral radius of M is below 1, I - M is an M-matrix, all
pivots are positive and nothing but pivots is ever subtracted from, so that the smallest entries of
the inverse, exp(-β_r x longest trip), are as accurate as the largest. SciPy, which the library does
without, is imported where matrices are sparse.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel
from bilevelrl.models.network_flow.network import Network

#: Up to so many links the inverse is a dense matrix.
DENSE_LINKS = 500


class Factor(Protocol):
    """I - M, ready for solutions."""

    def solve(self, right: Floats) -> Floats:
        """(I - M)⁻¹ B, shape (N, K), for B (N, K)."""

    def solve_transposed(self, right: Floats) -> Floats:
        """(I - Mᵀ)⁻¹ B, shape (N, K), for B (N, K)."""


@dataclass(frozen=True, eq=False)
class DenseFactor:
    """The inverse itself.

    Attributes:
        inverse: (I - M)⁻¹, the expected visits, shape (N, N).
        transposed: of that.
    """

    inverse: Floats
    transposed: Floats

    def solve(self, right: Floats) -> Floats:
        """(I - M)⁻¹ B, shape (N, K), for B (N, K)."""
        solution: Floats = _times(self.inverse, right)
        return solution

    def solve_transposed(self, right: Floats) -> Floats:
        """(I - Mᵀ)⁻¹ B, shape (N, K), for B (N, K)."""
        solution: Floats = _times(self.transposed, right)
        return solution


@dataclass(frozen=True, eq=False)
class SparseFactor:
    """Factors of SuperLU, eliminated in an order of minimum degree."""

    factors: Any

    def solve(self, right: Floats) -> Floats:
        """(I - M)⁻¹ B, shape (N, K), for B (N, K)."""
        solution: Floats = np.ascontiguousarray(self.factors.solve(right))
        return solution

    def solve_transposed(self, right: Floats) -> Floats:
        """(I - Mᵀ)⁻¹ B, shape (N, K), for B (N, K)."""
        solution: Floats = np.ascontiguousarray(self.factors.solve(right, "T"))
        return solution


def factorised(network: Network, weight: Floats, *, sparse: bool) -> Factor | None:
    """I - M with M(i, j) the sum of `weight` (L,) over links from i to j.

    None unless the spectral radius of M is below 1. With x = (I - M)⁻¹ 1 this is so if and only if
    x > 0: then M x = x - 1 < x (Collatz and Wielandt), and otherwise Σ Mᵏ 1 has no limit.
    """
    factor: Factor
    if sparse:
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import splu

        matrix = eye_array(network.num_nodes, format="csc") - matrix_of(network, weight)
        try:
            factor = SparseFactor(
                splu(
                    csc_array(matrix),
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.0,
                    options={"SymmetricMode": True},
                )
            )
        except RuntimeError:  # singular
            return None
    else:
        inverse = np.empty((network.num_nodes, network.num_nodes))
        if not _invert(network.tail, network.head, weight, inverse):
            return None
        factor = DenseFactor(inverse, np.ascontiguousarray(inverse.T))
    x = factor.solve(np.ones((network.num_nodes, 1)))
    return factor if (x > 0.0).all() and (x < np.inf).all() else None


def spectral_radius(network: Network, weight: Floats) -> float:
    """Of M, from `weight` (L,); all eigenvalues up to 200 nodes, else the largest only."""
    matrix = matrix_of(network, weight)
    if network.num_nodes <= 200:
        return float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    # That of a matrix >= 0 is an eigenvalue; of I + M none other is as large.
    shifted = matrix + eye_array(network.num_nodes, format="csc")
    try:
        start = np.ones(network.num_nodes)
        (largest,) = eigs(shifted, k=1, which="LM", v0=start, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        largest = max(error.eigenvalues, key=abs, default=np.nan)
    return float(np.abs(largest)) - 1.0


def matrix_of(network: Network, weight: Floats) -> Any:
    """M, shape (N, N), sparse."""
    from scipy.sparse import csc_array

    shape = (network.num_nodes, network.num_nodes)
    return csc_array((weight, (network.tail, network.head)), shape=shape)


@kernel
def _invert(tail, head, weight, inverse):  # type: ignore[no-untyped-def]
    # Gauss and Jordan in place; False where a pivot is not positive.
    size = len(inverse)
    inverse[:] = 0.0
    for i in range(size):
        inverse[i, i] = 1.0
    for a in range(len(tail)):
        inverse[tail[a], head[a]] -= weight[a]
    for k in range(size):
        pivot = inverse[k, k]
        if not pivot > 0.0:
            return False
        inverse[k, k] = 1.0
        row = inverse[k]
        for j in range(size):
            row[j] /= pivot
        for i in range(size):
            if i != k:
                other = inverse[i]
                factor = other[k]
                if factor != 0.0:
                    other[k] = 0.0
                    for j in range(size):
                        other[j] -= factor * row[j]
    return True


@kernel
def _times(left, right):  # type: ignore[no-untyped-def]
    # Sums go over k in its order, whatever the processor: rows are added to rows.
    product = np.zeros((len(left), right.shape[1]))
    for i in range(len(left)):
        row = product[i]
        for k in range(len(right)):
            factor, other = left[i, k], right[k]
            for j in range(right.shape[1]):
                row[j] += factor * other[j]
    return product
