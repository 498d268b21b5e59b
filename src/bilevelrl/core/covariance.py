"""The indirect term of BC-HG from whole episodes, for any leader (arXiv 2603.14867).

With i_t = γ_L^t A_L(t), A_L the leader's advantage over the follower's actions, and
ψ_k = V_k ∇φ_k(θ), what θ does to the follower's return at step k,

    (1/β) E[Σ_t i_t Σ_{k≥t} γ_F^{k-t} ψ_k] = (1/β) E[Σ_k e_k ψ_k],   e_k = γ_F e_{k-1} + i_k.

The e_k are scalars, so that Σ_k e_k ψ_k is one weighted pull-back, whatever the leader is: no
gradient of a single step is kept. `models.tabular.boltzmann_covariance` is the same sum where ψ
depends on (s, a) alone.
"""

from collections.abc import Callable

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.trace import forward_trace


def covariance_term(
    injection: Floats,
    pull_back: Callable[[Floats], Floats],
    temperature: Floats,
    horizon: int,
    discount: float,
    *,
    include_current: bool,
    baseline: Floats | None = None,
) -> Floats:
    """(1/β) (Σ_k e_k ψ_k - b), shape (R, D).

    Args:
        injection: i of every step of whole episodes, one after the other, shape (R, N).
        pull_back: weights w (R, N) to Σ_k w_k ψ_k, shape (R, D).
        temperature: β of each run, shape (R,).
        horizon: steps per episode.
        discount: γ_F.
        include_current: whether ψ counts from the same step on, or from the next.
        baseline: b, shape (R, D), of mean zero; see `control_variate`. None has none.
    """
    trace = forward_trace(injection, horizon, discount, include_current=include_current)
    total = pull_back(trace)
    if baseline is not None:
        total = total - baseline
    return total / temperature[:, None]


def expected_covariance_term(injection: Floats, expected: Floats, temperature: Floats) -> Floats:
    """(1/β) Σ_t i_t E[Σ_{k≥t} γ_F^{k-t} ψ_k | t] of a leader that has a model of what follows.

    The expectation, shape (R, N, D), may leave out what the injection i, (R, N), averages out.
    """
    return weighted_sum(injection, expected) / temperature[:, None]


def weighted_sum(weights: Floats, vectors: Floats) -> Floats:
    """Σ_n w_n v_n, shape (R, D), for weights (R, N) and vectors (R, N, D)."""
    total = np.zeros((len(vectors), vectors.shape[2]))
    _weighted_sum(weights, vectors, total)
    return total


@parallel_kernel
def _weighted_sum(weights, vectors, total):  # type: ignore[no-untyped-def]
    num_runs, num_steps, size = vectors.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for p in range(size):
                total[r, p] += weights[r, n] * vectors[r, n, p]
