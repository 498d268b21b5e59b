"""Hand-derived values, SciPy's versions of the same statistics, and the properties of intervals."""

import numpy as np
import pytest
from scipy import stats

from bilevelrl.evaluation.statistics import (
    iqm,
    mean,
    mean_difference,
    named_generator,
    probability_of_improvement,
    standard_error,
    stratified_bootstrap,
    wilson_interval,
)


def test_iqm_of_twelve_scores_is_the_mean_of_the_middle_six() -> None:
    scores = np.arange(12.0).reshape(4, 3)
    scores[3, 2] = 1000.0  # an outlier in the upper quarter does not count
    assert iqm(scores) == 5.5


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5, 10, 20, 31])
def test_iqm_is_scipys_trimmed_mean(num_runs: int) -> None:
    scores = np.random.default_rng(num_runs).lognormal(size=(num_runs, 2))
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None), rel=1e-12)


def test_standard_error_is_the_papers() -> None:
    scores = np.array([[1.0], [3.0]])
    assert mean(scores) == 2.0
    assert standard_error(scores) == pytest.approx(1.0 / np.sqrt(2.0))


def test_statistics_keep_leading_axes() -> None:
    scores = np.random.default_rng(0).normal(size=(7, 5, 2))
    for statistic in (iqm, mean, standard_error):
        stacked = statistic(scores)
        assert stacked.shape == (7,)
        assert stacked[3] == pytest.approx(float(statistic(scores[3])))


def test_probability_of_improvement_counts_ties_half() -> None:
    ours, theirs = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [2.0]])
    assert probability_of_improvement(ours, theirs) == pytest.approx((0.0 + 0.5 + 1.0) / 3.0)
    assert probability_of_improvement(ours, ours) == 0.5


def test_probability_of_improvement_is_mann_and_whitneys() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.integers(0, 6, (11, 1)) + 0.0, generator.integers(0, 5, (7, 1)) + 0.0
    expected = stats.mannwhitneyu(ours[:, 0], theirs[:, 0]).statistic / (11 * 7)
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)
    assert probability_of_improvement(theirs, ours) == pytest.approx(1.0 - expected)


def test_bootstrap_interval_of_the_mean_is_scipys() -> None:
    scores = np.random.default_rng(2).lognormal(size=(20, 1))
    low, high = stratified_bootstrap(
        mean, scores, generator=np.random.default_rng(3), replicates=20_000, confidence=0.9
    )
    theirs = stats.bootstrap(
        (scores[:, 0],), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.03 * width)
    assert high == pytest.approx(theirs.high, abs=0.03 * width)


def test_bootstrap_redraws_runs_within_each_problem() -> None:
    # Between problems nothing may be exchanged: each has a constant score, so there is no spread.
    scores = np.tile([[1.0, 100.0]], (6, 1))
    low, high = stratified_bootstrap(
        mean, scores, generator=np.random.default_rng(0), replicates=50, confidence=0.95
    )
    assert low == high == 50.5


def test_bootstrap_covers_the_truth_as_often_as_it_claims() -> None:
    scores = np.random.default_rng(5).normal(size=(400, 30, 1))
    covered = []
    for sample in scores:
        low, high = stratified_bootstrap(
            iqm, sample, generator=np.random.default_rng(6), replicates=300, confidence=0.95
        )
        assert low <= iqm(sample) <= high
        covered.append(low <= 0.0 <= high)
    # 30 runs: 94 to 95 % (style guide, d); four standard errors of 400 trials are 4.4 %.
    assert 0.895 < np.mean(covered) < 0.985


def test_wider_confidence_gives_a_wider_interval() -> None:
    scores = np.random.default_rng(7).normal(size=(3, 10, 1))

    def width(confidence: float) -> np.ndarray:
        low, high = stratified_bootstrap(
            iqm, scores, generator=np.random.default_rng(8), replicates=500, confidence=confidence
        )
        return high - low

    assert (width(0.95) > width(0.5)).all()


def test_two_sample_interval_contains_its_estimate() -> None:
    generator = np.random.default_rng(9)
    ours, theirs = generator.normal(0.5, 1.0, (10, 1)), generator.normal(0.0, 1.0, (20, 1))
    for statistic in (probability_of_improvement, mean_difference):
        low, high = stratified_bootstrap(
            statistic, ours, theirs, generator=generator, replicates=500, confidence=0.95
        )
        assert low < statistic(ours, theirs) < high


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1)])
def test_wilson_interval_is_scipys(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials, 0.95) == pytest.approx((expected.low, expected.high))


def test_wilson_interval_needs_a_trial() -> None:
    with pytest.raises(ValueError, match="got 0"):
        wilson_interval(0, 0, 0.95)


def test_named_generators_repeat_and_differ_by_name() -> None:
    first, again, other = (named_generator(0, name).random() for name in ("a", "a", "b"))
    assert first == again != other
    assert named_generator(1, "a").random() != first
