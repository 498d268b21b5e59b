"""Regressions that learn their prior."""

import numpy as np
import pytest

from bilevelrl.models.linear_gaussian.relevance import Posterior, Sums, regression

TRUE = np.array([[1.0, 0.0], [0.0, -2.0], [0.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
APART = np.arange(TRUE.size).reshape(TRUE.shape)
TOGETHER = np.zeros_like(APART)


def seen(number: int, noise: float = 0.1) -> Sums:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((number, len(TRUE)))
    outputs = inputs @ TRUE + noise * rng.standard_normal((number, 2))
    squares = np.square(outputs).sum(axis=0)
    gram = np.stack([inputs.T @ inputs] * 2)
    return Sums(gram, inputs.T @ outputs, squares, 2.0 * number)


def test_many_rows_leave_no_doubt() -> None:
    for groups in (APART, TOGETHER):
        found = regression(seen(20_000), groups)
        np.testing.assert_allclose(found.mean, TRUE, atol=4e-3)
        assert found.noise == pytest.approx(0.1, rel=0.02)


def test_what_is_zero_is_found_to_be_if_it_has_a_prior_of_its_own() -> None:
    rows = seen(60)
    apart, together = regression(rows, APART), regression(rows, TOGETHER)
    zero = TRUE == 0.0
    assert np.median(np.abs(apart.mean[zero])) < 0.1 * np.median(np.abs(together.mean[zero]))
    np.testing.assert_allclose(apart.mean[~zero], TRUE[~zero], atol=0.1)


def test_one_group_of_known_scale_is_ridge_regression() -> None:
    rows = seen(100)
    found = regression(rows, TOGETHER)
    variance = (np.square(found.mean).sum() + np.trace(found.covariance.sum(axis=0))) / TRUE.size
    precision = rows.gram[0] / found.noise**2 + np.eye(len(TRUE)) / variance
    expected = np.linalg.solve(precision, rows.moment / found.noise**2)
    np.testing.assert_allclose(found.mean, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.covariance[0], np.linalg.inv(precision), rtol=0.02, atol=1e-7)


def test_what_nothing_tells_of_keeps_the_prior_that_it_starts_from() -> None:
    rows = seen(100)
    gram, moment = rows.gram.copy(), rows.moment.copy()
    gram[:, 4], gram[:, :, 4], moment[4] = 0.0, 0.0, 0.0
    groups = np.repeat([0, 0, 0, 0, 1], 2).reshape(TRUE.shape)
    found = regression(Sums(gram, moment, rows.squares, rows.number), groups)
    np.testing.assert_allclose(found.mean[4], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.covariance[:, 4, 4], 1.0)


def test_rows_without_noise_are_met() -> None:
    found = regression(seen(50, noise=0.0), APART)
    np.testing.assert_allclose(found.mean, TRUE, atol=1e-5)
    assert 0.0 < found.noise < 1e-5


def test_outputs_may_lack_rows() -> None:
    both, none = seen(200), np.zeros((5, 5))
    moment = both.moment * [1.0, 0.0]
    some = Sums(np.stack([both.gram[0], none]), moment, both.squares * [1.0, 0.0], 200.0)
    found = regression(some, APART)
    np.testing.assert_allclose(found.mean[:, 0], TRUE[:, 0], atol=0.05)
    np.testing.assert_array_equal(found.covariance[1], np.eye(5))
    nothing = regression(Sums(0.0 * both.gram, 0.0 * moment, np.zeros(2), 0.0), APART)
    np.testing.assert_array_equal(nothing.mean, 0.0)
    np.testing.assert_array_equal(nothing.covariance, np.stack([np.eye(5)] * 2))


def test_draws_are_spread_like_the_posterior() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((2, 3, 3))
    covariance = root @ root.mT
    posterior = Posterior(rng.standard_normal((3, 2)), covariance, 1.0)
    drawn = np.stack([posterior.drawn(rng.standard_normal((3, 2))) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), posterior.mean, atol=0.1)
    for output in range(2):
        np.testing.assert_allclose(np.cov(drawn[:, :, output].T), covariance[output], atol=0.4)
