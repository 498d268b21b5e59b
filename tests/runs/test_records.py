"""Files between two stages: they come back as they went, or the reader says which one is bad."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.records import (
    COORDINATE_COLUMNS,
    CURVE_COLUMNS,
    GRADIENT_COLUMNS,
    Cell,
    RunIdentity,
    is_late,
    setting_string,
)
from bilevelrl.runs.table_files import (
    CorruptRecord,
    concatenate,
    read_array,
    read_json,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
)


def curves(num_rows: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for name, kind in CURVE_COLUMNS.items():
        if kind == "string":
            content[name] = [f"{name} β"] * num_rows
        elif kind == "int64":
            content[name] = generator.integers(100, size=num_rows)
        else:
            content[name] = generator.standard_normal(num_rows)
    content["leader_return_sampled"] = np.nan  # as model-based estimators leave it
    return pd.DataFrame(content).astype(CURVE_COLUMNS)


def make_cell() -> Cell:
    runs = tuple(
        RunIdentity(
            "four_rooms",
            "bc_hg",
            "published",
            "env_steps_per_update=100;temperature=0.003",
            seed,
            f"key{seed}",
            {"temperature": 0.003, "num_envs": 2, "start": "carry"},
        )
        for seed in range(3)
    )
    theta = np.random.default_rng(1).standard_normal((3, 5))
    places = pd.DataFrame(
        [("p", "e", "v", "s", 0, update, "K1", 0.1 * update) for update in range(3)],
        columns=list(COORDINATE_COLUMNS),
    )
    return Cell(runs, theta, curves(), places.astype(COORDINATE_COLUMNS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_cell().write(tmp_path / "cell")
    return tmp_path / "cell"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_text("somebody else's notes\n")


@pytest.mark.parametrize("damage", [Path.unlink, truncate, cut_to_nothing, replace_by_text])
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


def test_other_columns_are_refused_with_both_lists(tmp_path: Path) -> None:
    path = tmp_path / "curves.parquet"
    curves().drop(columns=["cosine"]).to_parquet(path, index=False)
    with pytest.raises(CorruptRecord, match="expected columns") as caught:
        read_parquet(path, CURVE_COLUMNS)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count("cosine") == 1


def test_tables_are_written_with_the_promised_columns_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.parquet"
    table = curves()[[*reversed(CURVE_COLUMNS)]].assign(host="here")
    table["seed"] = table["seed"].astype("float64")
    write_parquet(path, table, CURVE_COLUMNS)
    pd.testing.assert_frame_equal(read_parquet(path, CURVE_COLUMNS), curves())


def test_a_missing_column_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="cosine"):
        write_parquet(tmp_path / "x.parquet", curves().drop(columns="cosine"), CURVE_COLUMNS)


def test_column_tables_have_pandas_types() -> None:
    for columns in (CURVE_COLUMNS, GRADIENT_COLUMNS):
        empty = pd.DataFrame({name: [] for name in columns}).astype(columns)
        assert set(columns.values()) == {str(kind) for kind in empty.dtypes}


def test_json_round_trips_sorted_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"z": [1.5, None], "a": "β"})
    assert read_json(path) == {"a": "β", "z": [1.5, None]}
    assert path.read_text().index('"a"') < path.read_text().index('"z"')
    assert path.read_text().endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert read_json(path)["z"] == [1.5, None]  # the refused content left the old one alone


@pytest.mark.parametrize("damage", [Path.unlink, truncate, cut_to_nothing, replace_by_text])
def test_damaged_json_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "metadata.json"
    write_json(path, {"entries": list(range(20))})
    damage(path)
    with pytest.raises(CorruptRecord, match=r"metadata\.json"):
        read_json(path)


def test_json_of_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(CorruptRecord, match=r"metadata\.json"):
        read_json(path)


def write_bundle(path: Path) -> None:
    arrays: dict[str, Any] = {"published_0.003": np.arange(3.0)}
    np.savez_compressed(path, **arrays)


def test_an_array_of_a_bundle_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "best_theta.npz"
    write_bundle(path)
    np.testing.assert_array_equal(read_array(path, "published_0.003"), np.arange(3.0))
    with pytest.raises(CorruptRecord, match=r"best_theta\.npz: published_0\.005"):
        read_array(path, "published_0.005")


@pytest.mark.parametrize("damage", [Path.unlink, truncate, cut_to_nothing, replace_by_text])
def test_a_damaged_bundle_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "best_theta.npz"
    write_bundle(path)
    damage(path)
    with pytest.raises(CorruptRecord, match=r"best_theta\.npz"):
        read_array(path, "published_0.003")


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", b"old")
    write_atomically(tmp_path / "x", b"new")
    assert contents(tmp_path) == {"x": b"new"}


def test_a_failed_replacement_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "x", b"old")

    def fail(*_: Any) -> None:
        raise OSError("killed between writing and replacing")

    monkeypatch.setattr("bilevelrl.core.atomic_files.os.replace", fail)
    with pytest.raises(OSError, match="killed"):
        write_atomically(tmp_path / "x", b"new")
    assert contents(tmp_path) == {"x": b"old"}


def test_csv_is_small_exact_enough_and_the_same_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    table = pd.DataFrame({"name": ["a", "b"], "value": [1.0 / 3.0, np.nan], "seeds": [10, 20]})
    write_csv(path, table)
    assert path.read_bytes() == b"name,value,seeds\na,0.3333333333,10\nb,,20\n"
    write_csv(path, pd.read_csv(path))
    assert path.read_bytes() == b"name,value,seeds\na,0.3333333333,10\nb,,20\n"


def test_a_setting_is_named_by_its_sorted_pairs() -> None:
    conditions = {"temperature": 0.003, "env_steps_per_update": 1000, "start": "carry"}
    text = setting_string(conditions)
    assert text == "env_steps_per_update=1000;start=carry;temperature=0.003"
    assert setting_string({}) == ""


def test_tables_are_stacked_in_order_with_a_fresh_index() -> None:
    first, second = curves(2), curves(3)
    stacked = concatenate(iter([first, second]))
    assert list(stacked.index) == list(range(5))
    pd.testing.assert_frame_equal(stacked[2:].reset_index(drop=True), second)


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
