"""Statistics of reinforcement-learning experiments: one run is one sample.

Scores have shape (..., R, M): R runs on each of M problems. Leading axes, if any, are points of a
curve; a bootstrap replicate redraws whole runs, so all points of a curve share the redrawn runs.
"""

import hashlib
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def iqm(scores: Floats) -> Floats:
    """Interquartile mean, the mean of the middle half of all R · M scores, shape (...)."""
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = pooled.shape[-1] // 4
    trimmed: Floats = pooled[..., cut : pooled.shape[-1] - cut].mean(axis=-1)
    return trimmed


def mean(scores: Floats) -> Floats:
    """Mean of all R · M scores, shape (...)."""
    average: Floats = scores.mean(axis=(-2, -1))
    return average


def median(scores: Floats) -> Floats:
    """Median of all R · M scores, shape (...)."""
    pooled = scores.reshape(*scores.shape[:-2], -1)
    middle: Floats = np.median(pooled, axis=-1)
    return middle


def standard_error(scores: Floats) -> Floats:
    """Population standard deviation over √n, n = R · M, shape (...).

    The paper divides by n and not by n - 1, which makes it 5 % too small for 10 runs; kept so that
    the two columns of a comparison mean the same.
    """
    error: Floats = scores.std(axis=(-2, -1), ddof=0) / np.sqrt(scores.shape[-2] * scores.shape[-1])
    return error


def mean_difference(ours: Floats, theirs: Floats) -> Floats:
    """Mean of ours minus mean of theirs, shape (...)."""
    return mean(ours) - mean(theirs)


def probability_of_improvement(ours: Floats, theirs: Floats) -> Floats:
    """P(a run of ours beats a run of theirs on the same problem), averaged over problems.

    Args:
        ours: shape (..., R, M).
        theirs: shape (..., R', M); R' may differ from R. Ties count half.
    """
    wins = np.sign(ours[..., :, None, :] - theirs[..., None, :, :])
    probability: Floats = (wins.mean(axis=(-3, -2, -1)) + 1.0) / 2.0
    return probability


def stratified_bootstrap(
    statistic: Callable[..., Floats],
    *samples: Floats,
    generator: np.random.Generator,
    replicates: int,
    confidence: float,
) -> tuple[Floats, Floats]:
    """Percentile interval of `statistic(*samples)`, redrawing runs within each problem.

    Problems are the strata and stay: the interval speaks about new seeds, not about new problems.

    Args:
        statistic: maps arrays (B, ..., R, M) to (B, ...).
        samples: one or more score arrays, redrawn independently of each other.
        generator: of the redraws.
        replicates: B.
        confidence: coverage, for instance 0.95.

    Returns:
        Lower and upper end, each of shape (...).
    """
    replicated = statistic(*(_redraw(sample, replicates, generator) for sample in samples))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(replicated, [tail, 1.0 - tail], axis=0)
    return low, high


def _redraw(scores: Floats, replicates: int, generator: np.random.Generator) -> Floats:
    num_runs, num_problems = scores.shape[-2:]
    runs = generator.integers(num_runs, size=(replicates, num_runs, num_problems))
    redrawn: Floats = np.moveaxis(scores[..., runs, np.arange(num_problems)], -3, 0)
    return redrawn


def wilson_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion; unlike a bootstrap it has width at 0 and at 1.

    Raises:
        ValueError: if there are no trials.
    """
    if trials < 1:
        raise ValueError(f"a proportion needs at least one trial, got {trials}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1.0 - share) / trials + z * z / (4 * trials * trials))
    scale = 1.0 + z * z / trials
    low = 0.0 if successes == 0 else float(centre - spread) / scale  # exact, not 2e-17
    high = 1.0 if successes == trials else float(centre + spread) / scale
    return low, high


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on `seed` and `names` only.

    One per table row: a row keeps its interval when other rows come or go.
    """
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])
