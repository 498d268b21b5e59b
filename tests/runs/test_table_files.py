"""Files of tables, arrays and JSON: they come back as they went, or the reader names them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.records import CURVE_COLUMNS
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
from tests.runs.written_cells import DAMAGES, contents, curves


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


def test_json_round_trips_sorted_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"z": [1.5, None], "a": "β"})
    assert read_json(path) == {"a": "β", "z": [1.5, None]}
    assert path.read_text().index('"a"') < path.read_text().index('"z"')
    assert path.read_text().endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert read_json(path)["z"] == [1.5, None]  # the refused content left the old one alone


@pytest.mark.parametrize("damage", DAMAGES)
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


@pytest.mark.parametrize("damage", DAMAGES)
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


def test_tables_are_stacked_in_order_with_a_fresh_index() -> None:
    first, second = curves(2), curves(3)
    stacked = concatenate(iter([first, second]))
    assert list(stacked.index) == list(range(5))
    pd.testing.assert_frame_equal(stacked[2:].reset_index(drop=True), second)
