"""Statistics of reinforcement-learning experiments: one run is one sample.

Scores have shape (..., R), R runs; leading axes, if any, are points of a curve. A score that is not
finite belongs to a failed run, has no rank, and makes every statistic NaN.

Intervals are Student's: statistic ± t(R − 1) · standard error, with the exact bootstrap standard
error. For the mean that is the classical interval. For interquartile mean and median it holds its
level from three runs on where a percentile bootstrap does not: of intervals at 95 %, those of the
IQM of normal scores cover 95 to 98 % for R = 3 to 20, those of exponential scores 93 to 96 %. The
mean of exponential scores is covered in 88 to 92 %. No interval knows of an outcome that no run
has shown: where one run in ten fails, five runs of which none failed say nothing about it.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Literal["mean", "iqm", "median"]


def iqm(scores: Floats) -> Floats:
    """Interquartile mean, the mean of the middle half of the runs, shape (...)."""
    return _middle(scores, _cut("iqm", scores.shape[-1]))


def mean(scores: Floats) -> Floats:
    """Mean over runs, shape (...)."""
    return _middle(scores, 0)


def median(scores: Floats) -> Floats:
    """Median over runs, shape (...)."""
    return _middle(scores, _cut("median", scores.shape[-1]))


def standard_error(scores: Floats, statistic: Statistic = "mean") -> Floats:
    """Standard error of a statistic over runs, shape (...); NaN for fewer than two runs.

    Of the mean it is the sample standard deviation (divisor R − 1) over √R. Equal scores give 0:
    these runs do not differ, which is no proof that another run would not.
    """
    return trimmed_standard_error(scores, _cut(statistic, scores.shape[-1]))


def trimmed_mean(scores: Floats, cut: int) -> Floats:
    """Mean over runs without the `cut` lowest and the `cut` highest at each point, shape (...).

    Raises:
        ValueError: if no run remains.
    """
    if 2 * cut >= scores.shape[-1]:
        raise ValueError(f"{scores.shape[-1]} runs cannot lose {cut} at each end")
    return _middle(scores, cut)


def trimmed_standard_error(scores: Floats, cut: int) -> Floats:
    """Standard error of `trimmed_mean`, shape (...); NaN for fewer than two runs.

    It is that of the bootstrap over all R^R redraws, times √(R / (R − 1)) so that with `cut` = 0 it
    is the usual one.
    """
    num_runs = scores.shape[-1]
    if num_runs < 2:
        return np.full(scores.shape[:-1], np.nan)
    known = np.where(np.isfinite(scores), scores, np.nan)
    gaps = np.diff(np.sort(known, axis=-1), axis=-1)
    variance = ((gaps @ _covariance(num_runs, cut)) * gaps).sum(axis=-1)
    error: Floats = np.sqrt(np.maximum(variance, 0.0) * (num_runs / (num_runs - 1)))
    return error


def interval(scores: Floats, statistic: Statistic, confidence: float) -> tuple[Floats, Floats]:
    """Lower and upper end of a statistic's interval, each of shape (...); NaN below two runs.

    Args:
        scores: shape (..., R).
        statistic: which one.
        confidence: level, for instance 0.95.
    """
    num_runs = scores.shape[-1]
    centre = _middle(scores, _cut(statistic, num_runs))
    if num_runs < 2:
        return np.full_like(centre, np.nan), np.full_like(centre, np.nan)
    half = stats.t.ppf(0.5 + confidence / 2.0, num_runs - 1) * standard_error(scores, statistic)
    return centre - half, centre + half


def mean_difference_interval(
    ours: Floats, theirs: Floats, confidence: float
) -> tuple[float, float]:
    """Welch's interval of mean of ours minus mean of theirs; NaN if a side has fewer than two runs.

    Args:
        ours: shape (R,).
        theirs: shape (R',), other runs than ours.
        confidence: level.
    """
    if min(len(ours), len(theirs)) < 2:
        return float("nan"), float("nan")
    squares = np.array([standard_error(ours), standard_error(theirs)]) ** 2
    total = float(squares.sum())
    difference = float(mean(ours) - mean(theirs))
    if total == 0.0:
        return difference, difference
    freedom = total**2 / (squares**2 / [len(ours) - 1, len(theirs) - 1]).sum()
    half = float(stats.t.ppf(0.5 + confidence / 2.0, freedom) * np.sqrt(total))
    return difference - half, difference + half


def probability_of_improvement(ours: Floats, theirs: Floats) -> float:
    """P(a run of ours beats a run of theirs), ties counting half; NaN if a run failed.

    Args:
        ours: shape (R,).
        theirs: shape (R',); R' may differ from R.
    """
    return float((np.sign(ours[:, None] - theirs).mean() + 1.0) / 2.0)


def improvement_interval(ours: Floats, theirs: Floats, confidence: float) -> tuple[float, float]:
    """Interval of `probability_of_improvement`; NaN if a side has fewer than two runs.

    It is Wilson's of a proportion of min(R, R') trials. No pair of distributions gives a larger
    variance than such a proportion has (van Dantzig 1951), so it holds its level whatever they are,
    ties and runs that all win included, and is about a fifth too wide where they are alike.
    """
    trials = min(len(ours), len(theirs))
    if trials < 2:
        return float("nan"), float("nan")
    return wilson_interval(probability_of_improvement(ours, theirs) * trials, trials, confidence)


def wilson_interval(successes: float, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion; it has width at 0 and at 1, and for one trial.

    Raises:
        ValueError: if there are no trials.
    """
    if trials < 1:
        raise ValueError(f"a proportion needs at least one trial, got {trials}")
    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1.0 - share) / trials + z * z / (4 * trials * trials))
    scale = 1.0 + z * z / trials
    low = 0.0 if successes == 0 else float(centre - spread) / scale  # exact, not 2e-17
    high = 1.0 if successes == trials else float(centre + spread) / scale
    return low, high


def _cut(statistic: Statistic, num_runs: int) -> int:
    """Runs that a statistic leaves out at each end."""
    return {"mean": 0, "iqm": num_runs // 4, "median": (num_runs - 1) // 2}[statistic]


def _middle(scores: Floats, cut: int) -> Floats:
    """Mean of the sorted runs without `cut` at each end; NaN where one is not finite."""
    ordered = np.sort(scores, axis=-1)
    middle: Floats = ordered[..., cut : scores.shape[-1] - cut].mean(axis=-1)
    return np.where(np.isfinite(scores).all(axis=-1), middle, np.nan)


@lru_cache(maxsize=64)
def _covariance(num_runs: int, cut: int) -> Floats:
    """Covariance over all bootstrap redraws, shape (R − 1, R − 1).

    A redraw takes C_j of its R runs from the j lowest ones. With gaps d_j between neighbours its
    trimmed mean is the highest score less Σ_j d_j φ(C_j), φ the share of the retained ranks that
    lie among the lowest C_j; so its variance is Σ_jk d_j d_k Cov(φ(C_j), φ(C_k)), and C_1, C_2, ...
    is a Markov chain: of the runs not yet placed each falls on run j + 1 with chance 1 / (R − j).
    """
    counts = np.arange(num_runs + 1)
    share = (np.clip(counts, cut, num_runs - cut) - cut) / (num_runs - 2 * cut)
    covariance = np.zeros((num_runs - 1, num_runs - 1))
    ahead = np.empty((num_runs + 1, 0))  # E[φ(C_k) | C_j] of k = j, j + 1, ...
    means = np.empty(0)
    for j in range(num_runs - 1, 0, -1):
        if ahead.size:
            step = stats.binom.pmf(counts - counts[:, None], num_runs - counts[:, None],
                                   1.0 / (num_runs - j))  # fmt: skip
            ahead = step @ ahead
        ahead = np.column_stack([share, ahead])
        weight = stats.binom.pmf(counts, num_runs, j / num_runs)
        means = np.concatenate([[weight @ share], means])
        row = (weight * share) @ ahead - means[0] * means
        covariance[j - 1, j - 1 :] = covariance[j - 1 :, j - 1] = row
    return covariance
