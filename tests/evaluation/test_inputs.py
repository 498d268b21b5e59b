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
    read_gradients,
    read_grid,
    read_information_errors,
    read_outcomes,
)
from bilevelrl.runs.records import GRADIENT_COLUMNS, INFORMATION_COLUMNS
from bilevelrl.runs.table_files import CorruptRecord, write_csv, write_parquet

GRID = [("discrete_toy_r1", "exact"), ("discrete_toy_r1", "naive_on"), ("four_rooms", "bc_hg")]


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_the_grid_is_sorted_and_lists_each_cell_once(tmp_path: Path) -> None:
    cells = [{"problem": p, "estimator": e} for p, e in [*reversed(GRID), GRID[0]]]
    assert read_grid(written(tmp_path / "grid.json", {"cells": cells})) == GRID
    assert problems_of(GRID) == ["discrete_toy_r1", "four_rooms"]


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


def write_gradients(root: Path, problem: str, *, known: bool) -> None:
    """Both tables of a problem; without rows where nobody knows the hypergradient."""
    row = {name: problem if kind == "string" else 1 for name, kind in GRADIENT_COLUMNS.items()}
    table = pd.DataFrame([row] * known, columns=list(GRADIENT_COLUMNS))
    write_parquet(root / problem / "quality.parquet", table, GRADIENT_COLUMNS)
    errors = [(problem, "here", "full", "", "learned", size, 0, 1.0 / size) for size in (1, 2, 4)]
    watched = pd.DataFrame(errors * known, columns=list(INFORMATION_COLUMNS))
    write_csv(root / problem / "information.csv", watched)


def test_problems_without_ground_truth_add_nothing_and_still_have_tables(tmp_path: Path) -> None:
    grid = [*GRID, ("guided_cartpole", "naive")]
    for problem in problems_of(GRID):
        write_gradients(tmp_path, problem, known=True)
    for read in (read_gradients, read_information_errors):
        with pytest.raises(CorruptRecord, match="guided_cartpole"):
            read(tmp_path, grid)
    write_gradients(tmp_path, "guided_cartpole", known=False)
    for read in (read_gradients, read_information_errors):
        pd.testing.assert_frame_equal(read(tmp_path, grid), read(tmp_path, GRID))
        assert sorted(set(read(tmp_path, grid)["problem"])) == problems_of(GRID)
        nothing = read(tmp_path, grid[-1:])
        assert nothing.empty
        assert list(nothing) == list(read(tmp_path, GRID))


def test_what_problems_say_of_their_leaders_is_stacked_by_name(tmp_path: Path) -> None:
    def outcomes(problem: str, estimator: str, name: str, value: int) -> Path:
        path = tmp_path / problem / estimator / "outcomes" / f"{name}.parquet"
        table = pd.DataFrame({"problem": [problem] * 2, "value": value})
        write_parquet(path, table, {"problem": "string", "value": "int64"})
        return path

    outcomes("four_rooms", "bc_hg", "maps", 1)
    outcomes("four_rooms", "exact", "maps", 2)  # left behind by a larger grid
    outcomes("discrete_toy_r1", "naive_on", "maps", 3)
    damaged = outcomes("discrete_toy_r1", "exact", "others", 4)
    found = read_outcomes(GRID, tmp_path)
    assert {name: table["value"].tolist() for name, table in found.items()} == {
        "maps": [3, 3, 1, 1],
        "others": [4, 4],
    }
    assert read_outcomes(GRID, tmp_path / "elsewhere") == {}
    damaged.write_bytes(damaged.read_bytes()[:7])
    with pytest.raises(CorruptRecord, match=r"exact.outcomes.others\.parquet"):
        read_outcomes(GRID, tmp_path)
