"""Files are replaced in one step: nothing is left behind by failures and by killed processes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.atomic_files import write_array, write_arrays, write_atomically
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.records import Cell
from bilevelrl.runs.table_files import write_csv, write_json, write_parquet

TABLE = pd.DataFrame({"number": [1.0, 2.0]})
#: Everything that writes a file between two stages, into a folder.
WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda folder: write_atomically(folder / "x", b"new"),
    "array": lambda folder: write_array(folder / "x.npy", np.ones(3)),
    "arrays": lambda folder: write_arrays(folder / "x.npz", {"a": np.ones(3)}),
    "json": lambda folder: write_json(folder / "x.json", {"a": 1}),
    "csv": lambda folder: write_csv(folder / "x.csv", TABLE),
    "parquet": lambda folder: write_parquet(folder / "x.parquet", TABLE, {"number": "float64"}),
    "cell": lambda folder: Cell((), np.ones((0, 3)), TABLE).write(folder),
    "cache": lambda folder: ResultCache(folder).put("key", {"a": np.ones(3)}),
}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def dead_process() -> int:
    """The number of a process that has ended."""
    return int(
        subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"],
            capture_output=True,
            check=True,
        ).stdout
    )


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_leaves_nothing_and_is_said_with_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, kind: int
) -> None:
    def fail(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(kind, os.strerror(kind))  # writing, as opposed to opening, names no file

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match=os.strerror(kind)) as caught:
        WRITERS[writer](tmp_path)
    assert caught.value.errno == kind
    assert str(caught.value.filename).startswith(str(tmp_path))
    assert not str(caught.value.filename).endswith(".part")
    assert files(tmp_path) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_replacement_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    write_atomically(tmp_path / "x", b"old")

    def fail(*_: Any) -> None:
        raise ending

    monkeypatch.setattr("bilevelrl.core.atomic_files.os.replace", fail)
    with pytest.raises(ending):
        write_atomically(tmp_path / "x", b"new")
    assert files(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(
    tmp_path: Path,
) -> None:
    own, other = os.getppid(), dead_process()
    for name in (f"x.{own}.part", f"x.{other}.part", f"y.{other}.part", "x.notes.part"):
        (tmp_path / name).write_bytes(b"half")
    write_atomically(tmp_path / "x", b"new")
    kept = ["x", "x.notes.part", f"x.{own}.part", f"y.{other}.part"]
    assert files(tmp_path) == sorted(kept)


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "θ[1]*", "#x&y"])
def test_unusual_folders_are_written_to(tmp_path: Path, name: str) -> None:
    folder, other = tmp_path / name, dead_process()
    folder.mkdir()
    (folder / f"{name}.{other}.part").write_bytes(b"half")
    write_atomically(folder / name, b"new")
    assert files(folder) == [name]
    cache = ResultCache(folder / "runs")
    cache.put("key", {"a": np.ones(3)})
    found = cache.get("key")
    assert found is not None
    np.testing.assert_array_equal(found["a"], np.ones(3))
