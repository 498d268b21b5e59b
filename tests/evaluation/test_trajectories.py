"""Where the runs of the main comparison went."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import GROUP, conditions_of
from bilevelrl.evaluation.learning_curves import TRAJECTORY_COLUMNS, main_trajectories
from bilevelrl.runs.records import COORDINATE_COLUMNS, Cell
from tests.settings import identity

MAIN = "env_steps_per_update=450;return=discounted;temperature=0.05"
SETTINGS = [MAIN, f"study=clipped;{MAIN}", f"information=rewards;{MAIN}"]


def test_only_the_main_comparison_s_places_get_their_own_optimal_return() -> None:
    rows = [
        {
            "problem": "discrete_toy_r1", "estimator": "bc_hg", "variant": "published",
            "setting": setting, "seed": seed, "update": update, "coordinate": "f(1|A)",
            "value": 0.1 * seed + update, "leader_return": -1.0,
            "leader_return_optimal": 100.0 * seed + update,
        }
        for setting in SETTINGS for seed in (0, 1) for update in (0, 5, 9)
    ]  # fmt: skip
    every = pd.DataFrame(rows)
    curves = every.sample(frac=1.0, random_state=1)
    names = [
        identity("discrete_toy_r1", "bc_hg", "published", setting, seed)
        for setting in SETTINGS
        for seed in (0, 1)
    ]
    cell = Cell(tuple(names), np.empty((0, 0)), curves, every[list(COORDINATE_COLUMNS)])
    found = main_trajectories(cell, conditions_of(names))
    assert list(found) == list(TRAJECTORY_COLUMNS)
    assert set(found["setting"]) == {MAIN}
    assert len(found) == 6
    assert not found.duplicated([*GROUP, "seed", "update"]).any()
    np.testing.assert_array_equal(found["leader_return"], 100.0 * found["seed"] + found["update"])
    np.testing.assert_allclose(found["value"], 0.1 * found["seed"] + found["update"])
