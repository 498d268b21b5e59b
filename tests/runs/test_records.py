"""Cells between two stages: they come back as they went, or the reader says which file is bad."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.runs.records import (
    CURVE_COLUMNS,
    GRADIENT_COLUMNS,
    Cell,
    RunIdentity,
    is_late,
    setting_string,
)
from bilevelrl.runs.table_files import CorruptRecord
from tests.runs.written_cells import DAMAGES, contents, make_cell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_cell().write(tmp_path / "cell")
    return tmp_path / "cell"


def test_a_cell_comes_back_as_it_was_written(folder: Path) -> None:
    written, found = make_cell(), Cell.read(folder)
    assert found.runs == written.runs
    np.testing.assert_array_equal(found.theta, written.theta)
    pd.testing.assert_frame_equal(found.curves, written.curves)
    pd.testing.assert_frame_equal(found.coordinates, written.coordinates)
    files = ["coordinates.parquet", "curves.parquet", "runs.json", "theta.npy"]
    assert sorted(contents(folder)) == files


def test_writing_twice_gives_the_same_bytes(folder: Path) -> None:
    before = contents(folder)
    Cell.read(folder).write(folder)
    assert contents(folder) == before


def test_a_smaller_cell_replaces_a_larger_one_completely(folder: Path) -> None:
    cell = make_cell()
    Cell(cell.runs[:1], cell.theta[:1], cell.curves[:2]).write(folder)
    found = Cell.read(folder)
    assert (len(found.runs), len(found.theta), len(found.curves)) == (1, 1, 2)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["curves.parquet", "runs.json", "theta.npy"])
def test_a_damaged_file_of_a_cell_is_named(
    folder: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(folder / name)
    with pytest.raises(CorruptRecord) as caught:
        Cell.read(folder)
    assert str(folder / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickled_theta_is_refused(folder: Path) -> None:
    np.save(folder / "theta.npy", np.array([{"not": "numbers"}]), allow_pickle=True)
    with pytest.raises(CorruptRecord, match=r"theta\.npy"):
        Cell.read(folder)


def test_files_of_different_cells_are_refused(folder: Path) -> None:
    np.save(folder / "theta.npy", np.zeros((2, 5)))
    with pytest.raises(CorruptRecord, match=r"cell: 2 rows in theta\.npy, 3 in runs\.json"):
        Cell.read(folder)


@pytest.mark.parametrize("content", ["{}", "[1, 2]", '[{"seed": 0}]', '[{"seed": 0, "xyz": 1}]'])
def test_json_that_lists_no_runs_is_refused(folder: Path, content: str) -> None:
    (folder / "runs.json").write_text(content)
    with pytest.raises(CorruptRecord, match=r"runs\.json"):
        Cell.read(folder)


def test_column_tables_have_pandas_types() -> None:
    for columns in (CURVE_COLUMNS, GRADIENT_COLUMNS):
        empty = pd.DataFrame({name: [] for name in columns}).astype(columns)
        assert set(columns.values()) == {str(kind) for kind in empty.dtypes}


def test_a_setting_is_named_by_its_sorted_pairs() -> None:
    conditions = {"temperature": 0.003, "env_steps_per_update": 1000, "start": "carry"}
    text = setting_string(conditions)
    assert text == "env_steps_per_update=1000;start=carry;temperature=0.003"
    assert setting_string({}) == ""


def test_runs_are_readable_json(folder: Path) -> None:
    first = json.loads((folder / "runs.json").read_text())[0]
    assert first["hyperparameters"]["start"] == "carry"
    assert set(first) == {
        "problem", "estimator", "variant", "setting", "seed", "run_key", "hyperparameters",
        "failure", "kind", "conditions", "roles",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("num_updates", "interval", "expected"),
    [
        (10_000, 20, range(9019, 10_000, 20)),
        (2000, 4, range(1803, 2000, 4)),
        (500, 1, range(450, 500)),
        (30, 1, range(27, 30)),
        (6, 1, [5]),
        (6, 4, [3]),  # the only row
        (1, 1, [0]),
    ],
)
def test_the_last_tenth_are_the_rows_whose_windows_lie_in_it(
    num_updates: int, interval: int, expected: Iterable[int]
) -> None:
    closing = np.arange(interval - 1, num_updates, interval)
    length = int(closing[-1]) + 1  # what the rows themselves tell
    for number in {num_updates, length} if num_updates % interval == 0 else {length}:
        assert closing[is_late(closing, number, 0.1)].tolist() == list(expected)
    table = pd.Series(closing)
    assert table[is_late(table, length, 0.1)].tolist() == list(expected)
    assert is_late(closing, number, 1e-17).tolist() == [update == number - 1 for update in closing]


def test_leaders_have_their_own_numbers_of_parameters() -> None:
    nan = np.nan
    theta = np.array([[1.0, 2.0, 3.0], [4.0, nan, nan], [nan, nan, nan]])
    runs = tuple(RunIdentity("p", "e", "improved", "", seed, "key") for seed in range(3))
    cell = Cell(runs, theta, pd.DataFrame(columns=list(CURVE_COLUMNS)))
    first, second, failed = cell.leaders
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0, 3.0], [4.0])
    assert failed.shape == (3,)
