from typing import Any

import numpy as np
import pytest

from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.runs.records import GRADIENT_COLUMNS

IDENTITY: dict[str, Any] = {
    "problem": "four_rooms",
    "point": "generic",
    "estimator": "bc_hg",
    "variant": "corrected",
    "rung": "bc_hg_corrected_exact_critic",
    "critic": "exact",
    "note": "exact critic",
    "env_steps_per_update": 100,
}


def test_two_estimates_by_hand() -> None:
    row = gradient_row(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([1.0, 0.0]), **IDENTITY)
    assert set(row) == set(GRADIENT_COLUMNS)
    assert row["bias"] == 0.0  # |2 - 1|² = 1 is exactly the sampling error 2 / 2
    assert row["bias_error"] == pytest.approx(1.0)
    assert row["standard_deviation"] == pytest.approx(np.sqrt(2.0))
    assert row["rmse"] == pytest.approx(np.sqrt(2.0))
    assert row["cosine_mean"] == row["cosine_of_mean"] == pytest.approx(1.0)


def test_equal_estimates_have_no_spread_at_all() -> None:
    row = gradient_row(np.full((7, 2), 0.1), np.array([0.1, 0.3]))
    assert row["standard_deviation"] == row["bias_error"] == 0.0
    assert row["bias"] == pytest.approx(0.2)


def test_squared_bias_is_recovered_through_noise() -> None:
    generator = np.random.default_rng(0)
    exact, offset = generator.normal(size=20), 0.1 * generator.normal(size=20)
    # The sampling error of the mean, 1.4, is three times the bias: without the correction the
    # average of bias² would be ten times too large.
    squares = [
        gradient_row(exact + offset + generator.normal(size=(10, 20)), exact, **IDENTITY)
        for _ in range(400)
    ]
    unfloored = np.array(
        [row["rmse"] ** 2 - row["standard_deviation"] ** 2 * 0.9 for row in squares]
    )
    corrected = unfloored - np.array([row["bias_error"] ** 2 for row in squares])
    error = corrected.std() / np.sqrt(len(corrected))
    assert corrected.mean() == pytest.approx(float(offset @ offset), abs=4.0 * error)
    assert [row["bias"] for row in squares] == pytest.approx(np.sqrt(np.maximum(corrected, 0.0)))


def test_estimate_of_length_zero_points_nowhere() -> None:
    row = gradient_row(np.zeros((3, 2)), np.array([1.0, 0.0]), **IDENTITY)
    assert row["cosine_mean"] == row["cosine_of_mean"] == 0.0
    assert row["bias"] == 1.0


@pytest.mark.parametrize("estimates", [np.zeros((1, 2)), np.zeros((3, 4)), np.zeros(2)])
def test_wrong_shapes_are_refused(estimates: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        gradient_row(estimates, np.ones(2), **IDENTITY)


def test_estimates_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match=r"generic.*bc_hg_corrected_exact_critic"):
        gradient_row(np.array([[1.0, np.nan], [0.0, 0.0]]), np.ones(2), **IDENTITY)
