"""Learning curves over seeds: windows, statistics in each, and what is tracked of them."""

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.learning_curves import (
    LEARNING_CURVE_COLUMNS,
    learning_curves,
    plotted,
    tracked_curves,
)
from bilevelrl.evaluation.statistics import interval, iqm, standard_error
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import CURVE_COLUMNS
from bilevelrl.runs.table_files import CorruptRecord
from tests.settings import conditioned

PARAMS = read_params().evaluate
MAIN = "env_steps_per_update=100;temperature=0.003"
UPDATES, SEEDS = 10, 5
RETURNS = np.random.default_rng(0).standard_normal((UPDATES, SEEDS))


def curves(setting: str = MAIN, estimator: str = "bc_hg") -> pd.DataFrame:
    """Rows of updates 2, 5, 8, ..., in no order."""
    rows = [
        {
            **dict.fromkeys(CURVE_COLUMNS, np.nan),
            "problem": "four_rooms", "estimator": estimator, "variant": "published",
            "setting": setting, "seed": seed, "update": 3 * k + 2, "env_steps": 100 * k,
            "follower_steps": 7 * k, "leader_return_mean": RETURNS[k, seed],
        }
        for k in range(UPDATES) for seed in range(SEEDS)
    ]  # fmt: skip
    return conditioned(pd.DataFrame(rows).sample(frac=1.0, random_state=2))


def test_a_window_is_the_mean_of_its_rows_in_each_run() -> None:
    found = learning_curves(curves(), PARAMS, num_points=4)
    assert list(found) == list(LEARNING_CURVE_COLUMNS)
    ends, starts = [2, 5, 8, 9], [0, 3, 6, 9]  # three rows each, and what is left
    windows = [RETURNS[a : b + 1].mean(axis=0) for a, b in zip(starts, ends, strict=True)]
    np.testing.assert_array_equal(found["update"], [3 * end + 2 for end in ends])
    np.testing.assert_array_equal(found["env_steps"], [100 * end for end in ends])
    np.testing.assert_array_equal(found["follower_steps"], [7 * end for end in ends])
    points = np.stack(windows)
    np.testing.assert_allclose(found["mean"], points.mean(axis=1))
    np.testing.assert_allclose(found["worst"], points.min(axis=1))
    np.testing.assert_allclose(found["iqm"], iqm(points))
    np.testing.assert_allclose(found["standard_error"], standard_error(points))
    for name, expected in zip(
        ("low", "high"), interval(points, "iqm", PARAMS.confidence), strict=True
    ):
        np.testing.assert_allclose(found[name], expected)
    for name, value in (("seeds", SEEDS), ("failed", 0), ("budget", 100), ("study", "main")):
        assert set(found[name]) == {value}


def test_every_row_is_a_window_where_there_is_room() -> None:
    found = learning_curves(curves(), PARAMS)
    np.testing.assert_allclose(found["mean"], RETURNS.mean(axis=1))
    assert learning_curves(curves(), PARAMS, num_points=1)["mean"].item() == pytest.approx(
        RETURNS.mean()
    )


def test_failed_runs_are_counted_and_other_studies_left_out() -> None:
    rows = curves()
    rows.loc[rows["seed"] == 3, "leader_return_mean"] = np.nan
    ablation = curves(f"study=clipped;{MAIN}")
    watching = curves(f"{MAIN};information=rewards")
    found = learning_curves(pd.concat([rows, ablation]), PARAMS)
    assert set(found["failed"]) == {1}
    assert set(found["study"]) == {"main"}
    both = learning_curves(pd.concat([curves(), watching]), PARAMS)
    assert set(both["study"]) == {"main", "information"}
    assert learning_curves(ablation, PARAMS).empty


def test_runs_that_recorded_different_updates_are_refused() -> None:
    with pytest.raises(CorruptRecord, match=r"four_rooms/bc_hg/published/.* different updates"):
        learning_curves(curves().iloc[1:], PARAMS)


def test_what_is_tracked_and_plotted() -> None:
    hot, far = MAIN.replace("0.003", "0.1"), MAIN.replace("=100", "=200")
    every = [
        curves(), curves(hot), curves(far), curves(f"{MAIN};information=rewards"),
        curves(estimator="naive"), curves("temperature=0.003", "exact"),
    ]  # fmt: skip
    table = learning_curves(pd.concat(every), PARAMS)
    baselines = pd.DataFrame(
        [{"problem": "four_rooms", "temperature": beta} for beta in (0.003, 0.1)]
    )
    tracked = tracked_curves(table, baselines)
    assert not {"setting", "study", "temperature", "follower_steps"} & set(tracked)
    kinds = set(zip(tracked["estimator"], tracked["budget"], strict=True))
    assert kinds == {("bc_hg", 100), ("bc_hg", 200), ("naive", 100), ("exact", 0)}
    assert len(tracked) == 4 * UPDATES
    np.testing.assert_array_equal(tracked["mean"], tracked["mean"].round(5))
    assert (tracked["mean"] != 0.0).all()
    shown = plotted(tracked, 100)
    assert list(shown) == ["update", "estimator", "leader_return"]
    names = ["bc_hg_published", "exact_published", "naive_published"]
    assert list(shown["estimator"].unique()) == names
    own = shown[shown["estimator"] == "bc_hg_published"]
    np.testing.assert_array_equal(own["update"], 3 * np.arange(UPDATES) + 2)
    np.testing.assert_allclose(own["leader_return"], iqm(RETURNS), atol=1e-5)
    assert set(plotted(tracked, 200)["estimator"]) == {"bc_hg_published", "exact_published"}
    large = tracked.assign(case="size=3")
    large = large[large["budget"] != 200]
    both = pd.concat([tracked.assign(case="size=2"), large])
    assert len(plotted(both, 200)) == len(plotted(tracked, 200))
    assert set(plotted(both, 100)["estimator"]) == {
        f"{name}_size={n}" for name in names for n in (2, 3)
    }
