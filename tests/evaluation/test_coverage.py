"""Intervals at 95 % contain the truth about as often as they say, for 3 to 20 runs."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.evaluation.statistics import (
    Statistic,
    improvement_interval,
    interval,
    iqm,
    mean,
    mean_difference_interval,
    statistic_of,
)

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
RUNS = (3, 5, 10, 20)
SAMPLES = 4000  # four standard errors of a share of .95 are .014
median = partial(statistic_of, statistic="median")
STATISTICS = {"mean": mean, "iqm": iqm, "median": median}


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(size=shape)


def exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.exponential(size=shape)


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.lognormal(0.0, 0.5, shape)


def stuck(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Three runs in ten stay at 0, the others end near 1."""
    return np.where(rng.random(shape) < 0.3, 0.0, rng.normal(1.0, 0.1, shape))


def half(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """A leader that always ends in one place."""
    del rng
    return np.full(shape, 0.5)


def rare(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """One run in sixteen gets anywhere."""
    return (rng.random(shape) < 1.0 / 16.0).astype(np.float64)


@lru_cache
def truth(draw: Draw, name: Statistic) -> float:
    return float(STATISTICS[name](draw(np.random.default_rng(1), (1_000_001,))))


def coverage(draw: Draw, name: Statistic, num_runs: int) -> float:
    scores = draw(np.random.default_rng(num_runs), (SAMPLES, num_runs))
    low, high = interval(scores, name, 0.95)
    expected = truth(draw, name)
    return float(((low <= expected) & (expected <= high))[np.isfinite(low)].mean())


#: Least coverage for 3, 5, 10 and 20 runs.
LEAST = {
    (normal, "mean"): (0.94, 0.94, 0.94, 0.94),
    (normal, "iqm"): (0.94, 0.94, 0.94, 0.94),
    (normal, "median"): (0.94, 0.94, 0.94, 0.94),
    # A mean is drawn by a tail that few runs show.
    (exponential, "mean"): (0.87, 0.87, 0.88, 0.90),
    (exponential, "iqm"): (0.91, 0.94, 0.94, 0.93),
    (exponential, "median"): (0.94, 0.94, 0.94, 0.93),
    (lognormal, "mean"): (0.90, 0.90, 0.90, 0.91),
    (lognormal, "iqm"): (0.92, 0.94, 0.94, 0.93),
    (lognormal, "median"): (0.94, 0.94, 0.94, 0.93),
    # Where some runs get stuck, a handful may show none of them, or too many.
    (stuck, "mean"): (0.72, 0.82, 0.94, 0.93),
    (stuck, "iqm"): (0.86, 0.86, 0.92, 0.88),
    (stuck, "median"): (0.94, 0.94, 0.93, 0.94),
}


@pytest.mark.parametrize(("draw", "name"), LEAST)
def test_intervals_cover_the_truth(draw: Draw, name: Statistic) -> None:
    found = [coverage(draw, name, num_runs) for num_runs in RUNS]
    assert (np.array(found) >= LEAST[draw, name]).all(), found


@pytest.mark.parametrize("name", ["mean", "iqm", "median"])
def test_intervals_are_not_wider_than_they_need_be(name: Statistic) -> None:
    assert coverage(normal, name, 20) < 0.97


SIZES = ((3, 3), (5, 5), (10, 10), (20, 20), (5, 20))


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (normal, (0.93, 0.93, 0.93, 0.93, 0.93)),
        (exponential, (0.95, 0.95, 0.94, 0.92, 0.89)),
        (stuck, (0.95, 0.95, 0.93, 0.92, 0.83)),
    ],
)
def test_intervals_of_mean_differences_cover_the_truth(
    draw: Draw, least: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(0)
    found = []
    for num_ours, num_theirs in SIZES:
        covered = []
        for ours, theirs in zip(draw(rng, (1000, num_ours)), draw(rng, (1000, num_theirs)),
                                strict=True):  # fmt: skip
            low, high = mean_difference_interval(3.0 + ours, theirs, 0.95)
            if np.isfinite(low):
                covered.append(low <= 3.0 <= high)
        found.append(np.mean(covered))
    assert (np.array(found) >= least).all(), found


@pytest.mark.parametrize(
    ("first", "second", "shift"),
    [(normal, normal, 0.0), (normal, normal, 1.0), (normal, normal, 3.0),
     (exponential, normal, 0.5), (stuck, stuck, 0.0), (stuck, normal, 0.0), (stuck, stuck, 0.1),
     (rare, half, 0.0), (half, rare, 0.0), (stuck, half, 0.0)],
)  # fmt: skip
def test_intervals_of_improvement_cover_the_truth(first: Draw, second: Draw, shift: float) -> None:
    rng = np.random.default_rng(0)
    many, others = shift + first(rng, (4000,)), second(rng, (4000,))
    expected = 0.5 + 0.5 * np.sign(many[:, None] - others).mean()
    found = []
    for num_ours, num_theirs in SIZES:
        covered = 0
        for ours, theirs in zip(first(rng, (1000, num_ours)), second(rng, (1000, num_theirs)),
                                strict=True):  # fmt: skip
            low, high = improvement_interval(shift + ours, theirs, 0.95)
            covered += low <= expected <= high
        found.append(covered / 1000)
    assert min(found) >= 0.95, found
