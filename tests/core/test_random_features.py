"""Least squares on random features: what is remembered, weighed and regularised."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.random_features import (
    RandomFeatures,
    regression,
    remember,
    solved,
    solved_once,
    sums,
    temporal_difference,
)
from bilevelrl.core.seeding import Streams, stream

Floats = NDArray[np.float64]
RNG = np.random.default_rng(0)
ROWS, RIGHT = RNG.standard_normal((50, 3)), RNG.standard_normal((50, 2))
WEIGHTS = RNG.uniform(0.1, 4.0, 50)


def test_rows_are_a_constant_the_inputs_and_ridges() -> None:
    features = RandomFeatures((2.0, 0.5), 4)
    assert features.size == 7
    drawn = features.start(Streams([3, 5]))
    assert drawn.shape == (2, 3, 4)
    for run, seed in enumerate((3, 5)):
        normals = stream(seed, "critic").standard_normal((2, 2, 4))
        weights = np.array([[2.0], [0.5]]) * normals[0]
        centres = normals[1]
        inputs = RNG.standard_normal((6, 2))
        found = features.of(drawn[run], inputs)
        for row, z in zip(found, inputs, strict=True):
            curved = [np.tanh(weights[:, f] @ (z - centres[:, f])) for f in range(4)]
            np.testing.assert_allclose(row, [1.0, *z, *curved], rtol=1e-12)


def test_weighted_least_squares_are_those_of_scaled_rows() -> None:
    found = solved_once(regression(ROWS, RIGHT, WEIGHTS), 1e-13)
    root = np.sqrt(WEIGHTS)[:, None]
    expected = np.linalg.lstsq(root * ROWS, root * RIGHT)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_ridge_is_relative_to_the_mean_diagonal() -> None:
    matrix, vector = regression(ROWS, RIGHT, WEIGHTS)
    penalty = 0.3 * np.trace(matrix) / 3.0
    expected = np.linalg.inv(matrix + penalty * np.eye(3)) @ vector
    np.testing.assert_allclose(solved_once((matrix, vector), 0.3), expected, rtol=1e-10)
    # So that units do not matter.
    np.testing.assert_allclose(solved_once((7.0 * matrix, 7.0 * vector), 0.3), expected, rtol=1e-10)
    np.testing.assert_array_equal(solved_once((0.0 * matrix, 0.0 * vector), 0.3), 0.0)


def test_one_run_remembers_and_the_others_do_not_notice() -> None:
    memory = sums(3, 2, 2, "it")
    new = regression(ROWS, RIGHT, WEIGHTS)
    remember(memory, "it", 1, new, 0.5)
    remember(memory, "it", 1, new, 0.5)
    for kind, expected in zip(("matrix", "vector"), new, strict=True):
        np.testing.assert_array_equal(memory[f"it_{kind}"][0], 0.0)
        np.testing.assert_allclose(memory[f"it_{kind}"][1], 1.5 * expected)
    np.testing.assert_allclose(solved(memory, "it", 1, 1e-3), solved_once(new, 1e-3))


@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_temporal_differences_are_their_normal_equations(discount: float) -> None:
    following, ended = RNG.standard_normal((50, 3)), RNG.random(50) < 0.3
    matrix, vector = temporal_difference(ROWS, following, RIGHT, discount, ended)
    expected, right = np.zeros((3, 3)), np.zeros((3, 2))
    for here, there, reward, end in zip(ROWS, following, RIGHT, ended, strict=True):
        ahead = 0.0 * there if end else discount * there
        expected += np.outer(here, here - ahead)
        if end:  # v(s') = 0 is an equation too
            expected += np.outer(there, there)
        right += np.outer(here, reward)
    np.testing.assert_allclose(matrix, expected, rtol=1e-10)
    np.testing.assert_allclose(vector, right, rtol=1e-10)
