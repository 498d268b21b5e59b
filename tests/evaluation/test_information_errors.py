"""OptimiserState on log-log axes have known answers."""

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.information_errors import CURVE, error_curves, log_log_slope
from bilevelrl.runs.records import INFORMATION_COLUMNS

SIZES = np.array([100.0, 1000.0, 10_000.0, 100_000.0])


@pytest.mark.parametrize("slope", [-0.5, 0.0, -1.0])
def test_a_power_law_has_its_exponent_as_slope(slope: float) -> None:
    found, error = log_log_slope(SIZES, 3.0 * SIZES**slope, np.zeros(4))
    assert found == pytest.approx(slope)
    assert error == 0.0


def test_the_standard_error_of_a_slope_is_that_of_simulated_slopes() -> None:
    rng, means = np.random.default_rng(0), SIZES**-0.5
    spread = means * [0.02, 0.01, 0.03, 0.02]
    _, error = log_log_slope(SIZES, means, spread)
    noisy = means + spread * rng.standard_normal((4000, 4))
    found = [log_log_slope(SIZES, row, spread)[0] for row in noisy]
    assert error == pytest.approx(np.std(found), rel=0.05)
    assert np.mean(found) == pytest.approx(-0.5, abs=4.0 * error / np.sqrt(4000) + 1e-4)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_errors_without_a_logarithm_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        log_log_slope(SIZES, np.array([1.0, bad, 1.0, 1.0]), np.zeros(4))


def test_no_rows_are_no_error() -> None:
    table = error_curves(pd.DataFrame(columns=list(INFORMATION_COLUMNS)))
    assert table.empty
    assert list(table.columns[-2:]) == ["slope", "slope_error"]


def test_every_curve_has_its_own_means_and_slope() -> None:
    rows = pd.DataFrame(
        [
            ("maze", "start", information, "", "learned", size, seed, scale * size**slope * factor)
            for information, scale, slope in (("rewards", 2.0, -0.5), ("full", 1.0, -0.25))
            for size in (900, 100)  # whatever the order
            for seed, factor in enumerate((0.5, 1.0, 1.5))
        ],
        columns=[*CURVE, "env_steps", "seed", "error"],
    )
    table = error_curves(rows)
    assert table["information"].tolist() == ["full", "full", "rewards", "rewards"]
    assert table["env_steps"].tolist() == [100, 900, 100, 900]
    assert table["error"].tolist() == pytest.approx([100**-0.25, 900**-0.25, 0.2, 2.0 / 30.0])
    assert table["slope"].tolist() == pytest.approx([-0.25, -0.25, -0.5, -0.5])
    assert (table["seeds"] == 3).all()
    relative = 0.5 / np.sqrt(3.0)
    assert (table["standard_error"] / table["error"]).tolist() == pytest.approx([relative] * 4)
    expected = np.sqrt(2.0) * relative / np.log(9.0)
    assert table["slope_error"].tolist() == pytest.approx([expected] * 4)


def test_one_seed_has_no_standard_error_and_no_error_of_its_slope() -> None:
    rows = pd.DataFrame(
        [("maze", "start", "full", "", "learned", size, 0, size**-0.5) for size in (100, 900)],
        columns=[*CURVE, "env_steps", "seed", "error"],
    )
    table = error_curves(rows)
    assert table["slope"].tolist() == pytest.approx([-0.5, -0.5])
    assert table[["standard_error", "slope_error"]].isna().all(axis=None)
