"""The best known design, named designs and random ones of building thermal control."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bilevelrl.problems.thermal_control.search import ThermalLandscape
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import read_params

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
SEARCH = PARAMS.block("thermal_control").search
FOLLOWERS = PARAMS.problem("thermal_control").followers
IN_TURN = partial(run_tasks, runtime=PARAMS.runtime.model_copy(update={"jobs": 1}))
LANDSCAPE = ThermalLandscape(PARAMS.block("thermal_control").constants, FOLLOWERS, 0.1)


def test_every_start_climbs_to_the_same_design() -> None:
    search = SEARCH.model_copy(update={"starts": 2, "num_updates": 1500})
    starts, best, highest = LANDSCAPE.climb(search)
    assert (LANDSCAPE.describe(starts)["leader_return"] < -190.0).all()
    np.testing.assert_allclose(highest, -162.503, atol=1e-3)
    np.testing.assert_allclose(LANDSCAPE.describe(best)["leader_return"], highest, rtol=1e-12)
    levels = LANDSCAPE.problem.design.levels(best)
    np.testing.assert_allclose(levels[0], [[1.0, 0.0, 1.0, 1.0]] * 2, atol=1e-3)
    np.testing.assert_allclose(levels[1], [[0.0, 0.779, 1.0, 1.0]] * 2, atol=2e-3)


def test_named_designs_are_those_of_an_independent_search() -> None:
    table = LANDSCAPE.designs(np.zeros(8)).set_index("design")
    expected = {
        "start": -261.963, "all 1": -197.248, "all 0": -1041.61, "full insulation": -225.087,
        "full airflow": -216.562, "best known": -261.963,
    }  # fmt: skip
    for design, value in expected.items():
        assert table.loc[design, "leader_return"] == pytest.approx(value, abs=6e-3)
    assert table.loc["all 0", "spectral_radius"] == pytest.approx(1.049, abs=5e-4)
    assert (table.loc["all 0", ["alpha1", "beta4"]].astype(float) < 1e-15).all()


def test_random_designs_are_uniform_and_samples_scatter_around_j() -> None:
    search = SEARCH.model_copy(update={"samples": 300, "sample_episodes": 20})
    table = LANDSCAPE.random_search(search, IN_TURN)
    assert len(table) == 300
    levels = table[[f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5)]]
    assert (levels.mean() - 0.5).abs().max() < 4.0 * np.sqrt(1.0 / 12.0 / 300.0)
    assert (levels.var() - 1.0 / 12.0).abs().max() < 0.02
    # From an independent implementation: J has a standard deviation of 44, one
    # episode's return of 240.
    assert table["leader_return"].mean() == pytest.approx(-273.0, abs=4.0 * 44.2 / np.sqrt(300.0))
    error = table["leader_return_sampled"] - table["leader_return"]
    assert abs(error.mean()) < 4.0 * 54.0 / np.sqrt(300.0)
    assert error.std() == pytest.approx(240.0 / np.sqrt(20.0), rel=0.2)
    fewer = LANDSCAPE.random_search(search.model_copy(update={"samples": 7}), IN_TURN)
    np.testing.assert_array_equal(
        fewer["leader_return_sampled"], table["leader_return_sampled"][:7]
    )
