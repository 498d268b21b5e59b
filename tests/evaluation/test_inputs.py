"""What other stages wrote is read, and nothing that the grid does not list."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bilevelrl.evaluation.inputs import (
    BASELINE_COLUMNS,
    problems_of,
    read_baselines,
    read_grid,
    with_ground_truth,
)
from bilevelrl.records import CorruptRecord

GRID = [("discrete_toy_r1", "exact"), ("discrete_toy_r1", "naive_on"), ("four_rooms", "bc_hg")]


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_the_grid_is_sorted_and_lists_each_cell_once(tmp_path: Path) -> None:
    cells = [{"problem": p, "estimator": e} for p, e in [*reversed(GRID), GRID[0]]]
    assert read_grid(written(tmp_path / "grid.json", {"cells": cells})) == GRID
    assert problems_of(GRID) == ["discrete_toy_r1", "four_rooms"]
    assert with_ground_truth([*GRID, ("guided_cartpole", "naive")]) == problems_of(GRID)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cells": []}, "lists no cells"),
        ({"cells": [{"problem": "four_rooms"}]}, "expected cells with problem and estimator"),
        ({"cells": None}, "expected cells with problem and estimator"),
        ({}, "expected cells with problem and estimator"),
    ],
)
def test_a_grid_that_lists_nothing_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(CorruptRecord, match=message):
        read_grid(written(tmp_path / "grid.json", content))


def test_baselines_are_those_of_the_grid_s_problems(tmp_path: Path) -> None:
    def entry(number: float) -> dict[str, Any]:
        return {
            "variant": "published", "temperature": number, "initial_return": number,
            "charge_nothing_return": None, "best_known": 2.0 * number, "seconds": 1.0,
        }  # fmt: skip

    for number, problem in enumerate(("four_rooms", "discrete_toy_r1", "bilevel_lqr")):
        content = {"entries": [entry(number + 0.5), entry(number + 0.25)]}
        written(tmp_path / problem / "metadata.json", content)
    found = read_baselines(tmp_path, GRID)
    assert list(found) == list(BASELINE_COLUMNS)
    assert list(found["problem"]) == ["discrete_toy_r1"] * 2 + ["four_rooms"] * 2
    assert list(found["best_known"]) == [3.0, 2.5, 1.0, 0.5]
    assert found["charge_nothing_return"].isna().all()
    assert pd.api.types.is_float_dtype(found["charge_nothing_return"])
    lacking = {"entries": [{"variant": "published"}]}
    written(tmp_path / "four_rooms" / "metadata.json", lacking)
    with pytest.raises(CorruptRecord, match=r"four_rooms.metadata.json: .*temperature"):
        read_baselines(tmp_path, GRID)
