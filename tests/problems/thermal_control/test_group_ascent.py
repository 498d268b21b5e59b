"""Ascent in groups: each is clipped alone, and estimates are averaged before the clip."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.thermal_control.group_ascent import GroupAscent

Floats = NDArray[np.float64]


def test_each_group_is_clipped_alone() -> None:
    rule = GroupAscent(np.array([0.1, 1.0]), 1.0, 2, np.zeros(2))
    theta = np.ones((2, 4))
    gradient = np.array([[3.0, 4.0, 0.3, 0.4], [0.0, 0.0, 0.0, -7.0]])
    moved = rule.step(theta, gradient, rule.start(theta.shape))
    expected = [[0.06, 0.08, 0.03, 0.04], [0.0, 0.0, 0.0, -1.0]]
    np.testing.assert_allclose(moved - theta, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_estimates_are_averaged_with_falling_weights(momentum: float) -> None:
    rule = GroupAscent(np.full(3, 0.1), 1e9, 2, np.array([0.3, momentum, 0.8]))
    rng = np.random.default_rng(0)
    theta, slopes, seen = np.zeros((3, 4)), rule.start((3, 4)), []
    for _ in range(6):
        gradient = rng.standard_normal((3, 4))
        seen.append(gradient[1])
        following = rule.step(theta, gradient, slopes)
        weights = momentum ** np.arange(len(seen) - 1.0, -1.0, -1.0)
        mean = weights @ np.array(seen) / weights.sum()
        np.testing.assert_allclose(following[1] - theta[1], 0.1 * mean, rtol=1e-9, atol=1e-12)
        theta = following


def test_a_mean_of_noisy_estimates_points_where_they_do_not() -> None:
    # Nine of ten estimates push a little one way, the tenth much the other: the mean goes with it.
    def end(momentum: float) -> float:
        rule = GroupAscent(np.array([0.01]), 1.0, 1, np.array([momentum]))
        theta, slopes = np.zeros((1, 1)), rule.start((1, 1))
        for update in range(2000):
            gradient = np.array([[100.0 if update % 10 == 9 else -2.0]])
            theta = rule.step(theta, gradient, slopes)
        return float(theta[0, 0])

    assert end(0.0) < -10.0
    assert end(0.99) > 10.0


def test_a_run_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(1)
    gradients, momentum = rng.standard_normal((5, 3, 8)), np.array([0.0, 0.9, 0.5])

    def last(rows: list[int]) -> Floats:
        rule = GroupAscent(np.full(len(rows), 0.1), 0.5, 2, momentum[rows])
        theta, slopes = np.zeros((len(rows), 8)), rule.start((len(rows), 8))
        for gradient in gradients:
            theta = rule.step(theta, gradient[rows], slopes)
        return theta

    np.testing.assert_array_equal(last([0, 1, 2])[1:2], last([1]))
