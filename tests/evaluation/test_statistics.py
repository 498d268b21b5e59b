"""Hand-derived values, SciPy's versions of the same statistics, all redraws of small samples."""

import warnings
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats

from bilevelrl.evaluation.statistics import (
    Statistic,
    detectable_difference,
    improvement_interval,
    interval,
    iqm,
    mean,
    mean_difference_interval,
    probability_of_improvement,
    proportion_interval,
    standard_error,
    statistic_of,
    trimmed_mean,
    trimmed_standard_error,
)

median = partial(statistic_of, statistic="median")
STATISTICS = {"mean": mean, "iqm": iqm, "median": median}
NAMES: tuple[Statistic, ...] = ("mean", "iqm", "median")


def test_iqm_of_twelve_scores_is_the_mean_of_the_middle_six() -> None:
    scores = np.arange(12.0)
    scores[11] = 1000.0  # an outlier in the upper quarter does not count
    assert iqm(scores) == 5.5


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5, 10, 20, 31])
def test_statistics_are_scipys_and_numpys(num_runs: int) -> None:
    scores = np.random.default_rng(num_runs).lognormal(size=num_runs)
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25), rel=1e-12)
    assert mean(scores) == pytest.approx(np.mean(scores), rel=1e-12)
    assert median(scores) == pytest.approx(np.median(scores), rel=1e-12)


def test_standard_error_divides_by_one_less_than_the_runs() -> None:
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)
    scores = np.random.default_rng(0).normal(size=(4, 7))
    assert standard_error(scores) == pytest.approx(stats.sem(scores, axis=-1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_runs", [2, 3, 4, 5, 6])
def test_standard_error_is_that_of_all_redraws(name: Statistic, num_runs: int) -> None:
    scores = np.random.default_rng(num_runs).lognormal(size=num_runs)
    redrawn = scores[np.array(list(product(range(num_runs), repeat=num_runs)))]
    expected = STATISTICS[name](redrawn).std() * np.sqrt(num_runs / (num_runs - 1))
    assert standard_error(scores, name) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("cut", [1, 3])
def test_standard_error_of_a_trimmed_mean_is_that_of_random_redraws(cut: int) -> None:
    scores = np.random.default_rng(3).normal(size=20)
    redrawn = np.random.default_rng(4).choice(scores, (200_000, 20))
    expected = trimmed_mean(redrawn, cut).std() * np.sqrt(20 / 19)
    assert trimmed_standard_error(scores, cut) == pytest.approx(expected, rel=0.01)


def test_trimming_needs_a_run_that_remains() -> None:
    assert trimmed_mean(np.array([5.0, 1.0, 2.0]), 1) == 2.0
    with pytest.raises(ValueError, match="4 runs cannot lose 2 at each end"):
        trimmed_mean(np.arange(4.0), 2)


def test_statistics_keep_leading_axes() -> None:
    scores = np.random.default_rng(0).normal(size=(7, 5))
    for statistic in (iqm, mean, median, standard_error):
        stacked = statistic(scores)
        assert stacked.shape == (7,)
        assert stacked[3] == pytest.approx(float(statistic(scores[3])))
    for end, alone in zip(interval(scores, "iqm", 0.9), interval(scores[3], "iqm", 0.9),
                          strict=True):  # fmt: skip
        assert end.shape == (7,)
        assert end[3] == pytest.approx(float(alone))


def test_interval_of_the_mean_is_students() -> None:
    scores = np.random.default_rng(2).lognormal(size=6)
    expected = stats.ttest_1samp(scores, 0.0).confidence_interval(0.9)
    assert interval(scores, "mean", 0.9) == pytest.approx((expected.low, expected.high))


def test_interval_of_the_mean_difference_is_welchs() -> None:
    generator = np.random.default_rng(9)
    ours, theirs = generator.normal(0.5, 3.0, 5), generator.normal(0.0, 1.0, 20)
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.9)
    found = mean_difference_interval(ours, theirs, 0.9)
    assert found == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("name", NAMES)
def test_wider_confidence_gives_a_wider_interval_around_the_statistic(name: Statistic) -> None:
    scores = np.random.default_rng(7).normal(size=(3, 10))
    centre = STATISTICS[name](scores)
    low, high = interval(scores, name, 0.5)
    lower, higher = interval(scores, name, 0.95)
    assert ((lower < low) & (low < centre) & (centre < high) & (high < higher)).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_run_has_no_standard_error_and_no_interval(name: Statistic) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone, several = np.array([0.4]), np.array([0.1, 0.2, 0.3])
        assert np.isnan(standard_error(alone, name))
        assert np.isnan(interval(alone, name, 0.95)).all()
        assert np.isnan(interval(np.full((4, 1), 0.4), name, 0.95)).all()
        for pair in ((alone, several), (several, alone), (alone, alone)):
            assert np.isnan(mean_difference_interval(*pair, 0.95)).all()
            assert np.isnan(improvement_interval(*pair, 0.95)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_failed_run_leaves_no_statistic(name: Statistic, bad: float) -> None:
    # An IQM of ten drops two at each end; dropping the failed run would hide it.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = np.array([*np.arange(9.0), bad])
        assert np.isnan(STATISTICS[name](scores))
        assert np.isnan(standard_error(scores, name))
        assert np.isnan(interval(scores, name, 0.95)).all()


@pytest.mark.parametrize("name", NAMES)
def test_equal_runs_have_no_spread_and_no_interval(name: Statistic) -> None:
    scores, others = np.full(5, 0.2), np.arange(5.0)
    assert standard_error(scores, name) == 0.0
    for alike in (scores, np.zeros(5), scores * (1.0 + 1e-13 * others)):
        assert np.isnan(interval(alike, name, 0.95)).all()
        for pair in ((alike, others), (others, alike), (alike, alike)):
            assert np.isnan(mean_difference_interval(*pair, 0.95)).all()
    low, _ = interval(np.stack([scores, others]), name, 0.95)
    assert np.isnan(low).tolist() == [True, False]


def test_scores_need_not_differ_by_much_to_have_an_interval() -> None:
    scores = 5.0 + 1e-7 * np.arange(4)
    assert np.isfinite(interval(scores, "mean", 0.95)).all()
    assert np.isfinite(mean_difference_interval(scores, scores, 0.95)).all()


def test_probability_of_improvement_counts_ties_half() -> None:
    ours, theirs = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0])
    assert probability_of_improvement(ours, theirs) == pytest.approx((0.0 + 0.5 + 1.0) / 3.0)
    assert probability_of_improvement(ours, ours) == 0.5
    assert np.isnan(probability_of_improvement(np.array([1.0, np.nan]), theirs))


def test_probability_of_improvement_is_mann_and_whitneys() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.integers(0, 6, 11) + 0.0, generator.integers(0, 5, 7) + 0.0
    expected = stats.mannwhitneyu(ours, theirs).statistic / (11 * 7)
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)
    assert probability_of_improvement(theirs, ours) == pytest.approx(1.0 - expected)


def test_improvement_is_a_proportion_of_the_smaller_side() -> None:
    ours, theirs = np.arange(5.0), np.arange(20.0) - 30.0  # all win
    assert improvement_interval(ours, theirs, 0.95) == proportion_interval(5, 5, 0.95)
    assert improvement_interval(theirs, ours, 0.95) == proportion_interval(0, 5, 0.95)
    assert improvement_interval(ours, ours, 0.95) == proportion_interval(2.5, 5, 0.95)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1)])
def test_interval_of_a_proportion_is_scipys(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert proportion_interval(successes, trials, 0.95) == pytest.approx(
        (expected.low, expected.high)
    )


def test_interval_of_a_proportion_needs_a_trial() -> None:
    with pytest.raises(ValueError, match="got 0"):
        proportion_interval(0, 0, 0.95)


def test_two_runs_a_side_are_enough_for_an_interval_of_improvement() -> None:
    low, high = improvement_interval(np.array([1.0, 2.0]), np.array([0.0, 3.0]), 0.95)
    assert 0.0 < low < 0.5 < high < 1.0
    assert np.isnan(improvement_interval(np.array([1.0]), np.array([0.0, 3.0]), 0.95)).all()


def test_a_detectable_difference_is_found_with_its_power() -> None:
    generator = np.random.default_rng(3)
    noise = generator.standard_normal(10)
    noise = (noise - noise.mean()) / noise.std(ddof=1)  # a standard deviation of exactly one
    shift = detectable_difference(noise, 0.95, 0.8)
    # Cohen's table: ten pairs, two-sided at .05, power .8: d = .996.
    assert shift == pytest.approx(0.996, abs=0.002)
    assert detectable_difference(3.0 * noise + 7.0, 0.95, 0.8) == pytest.approx(3.0 * shift)
    drawn = shift + generator.standard_normal((20_000, 10))
    low, high = interval(drawn, "mean", 0.95)
    assert np.mean((low > 0.0) | (high < 0.0)) == pytest.approx(0.8, abs=0.01)


def test_no_difference_is_detectable_without_scatter() -> None:
    for differences in (np.array([1.0]), np.full(4, 2.0)):
        assert np.isnan(detectable_difference(differences, 0.95, 0.8))
    for power in (0.05, 1.0):
        with pytest.raises(ValueError, match="power = "):
            detectable_difference(np.arange(3.0), 0.95, power)
