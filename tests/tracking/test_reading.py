"""An SQLite file tells of its runs what MLflow's client tells, and a sync asks no more than it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from bilevelrl.tracking.reading import ClientReader, Reader, SqliteReader
from bilevelrl.tracking.sync import sync_cell, sync_files
from bilevelrl.tracking.tracker import Counts
from tests.tracking.stores import make_cell, make_tracker

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
PARAMS = ("estimator", "setting")


@pytest.fixture
def asked(uri: str, tmp_path: Path) -> Callable[[Callable[[Reader], object]], object]:
    """The answer of a store with retired and deleted runs, the same from both readers."""
    sync_cell(make_tracker(uri), make_cell([0, 1, 2]))
    sync_cell(make_tracker(uri), make_cell([0, 1], key="b"))
    sync_cell(make_tracker(uri, "other"), make_cell([5]))
    sync_cell(make_tracker(uri), make_cell([0], problem="gone"))
    client = MlflowClient(uri)
    gone = client.get_experiment_by_name("gone")
    assert gone is not None
    client.delete_experiment(gone.experiment_id)
    sync_cell(make_tracker(uri), make_cell([7], estimator="naive"))
    (deleted,) = ClientReader(client).runs(None, {"cell": "four_rooms/naive"})
    client.delete_run(deleted.run_id)

    def ask(question: Callable[[Reader], object]) -> object:
        answer = question(SqliteReader(tmp_path / "mlflow.db"))
        assert answer == question(ClientReader(client))
        return answer

    return ask


def told(reader: Reader, experiment: str | None, tags: dict[str, str]) -> list[object]:
    """What a reader says of runs, in some order, without parameters that nobody asked for."""
    runs = reader.runs(experiment, tags, PARAMS)
    return sorted(
        (run.run_id, run.status, sorted(run.tags.items()), [run.params.get(key) for key in PARAMS])
        for run in runs
    )


def test_both_readers_tell_the_same(asked: Callable[..., object]) -> None:
    everybody = {"current": "true"}
    own = {"workspace": "workspace", "cell": "four_rooms/bc_hg"}
    number = asked(lambda reader: reader.experiment("four_rooms")).number  # type: ignore[attr-defined]
    sizes = [
        len(asked(lambda reader, tags=tags, place=place: told(reader, place, tags)))  # type: ignore[arg-type, misc]
        for place in (number, None)
        for tags in (everybody, own, {**own, **everybody})
    ]
    assert sizes == [3, 5, 2, 3, 5, 2]
    assert asked(lambda reader: reader.experiment("nobody's")) is None
    assert asked(lambda reader: reader.experiment("gone")).deleted  # type: ignore[attr-defined]


def test_what_is_shown_already_is_neither_read_nor_asked_of_mlflow(
    uri: str, tmp_path: Path
) -> None:
    place = tmp_path / "data" / "leaders" / "four_rooms" / "bc_hg"
    cell = make_cell([0, 1])
    cell.write(place)
    listed = {"cells": [{"problem": "four_rooms", "estimator": "bc_hg"}]}
    (tmp_path / "data" / "grid.json").write_text(json.dumps(listed))
    tracker = make_tracker(uri)
    sync_cell(tracker, cell)
    tracker.page("four_rooms")
    (place / "curves.parquet").unlink()
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from bilevelrl.tracking.sync import sync_files\n"
        "from bilevelrl.tracking.tracker import Tracker\n"
        "root = Path(sys.argv[1])\n"
        "tracker = Tracker(sys.argv[2], 'workspace', 'c0ffee', 'd1', Path('/dev/null'))\n"
        "print(sync_files(tracker, 'four_rooms/bc_hg', root / 'data', root))\n"
        "print(tracker.current_cells(), tracker.page('four_rooms')[1], 'mlflow' in sys.modules)\n"
    )
    printed = subprocess.run(
        [sys.executable, script, tmp_path, uri], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines() == [
        str(Counts(unchanged=2)),
        "{'four_rooms/bc_hg'} temperature=0.003 False",
    ]


@pytest.mark.parametrize("change", ["a seed more", "a seed less", "another key"])
def test_what_is_not_shown_is_read(uri: str, tmp_path: Path, change: str) -> None:
    before, after = (
        make_cell([0, 1]),
        make_cell([0, 1], key="b" if change == "another key" else "a"),
    )
    if change == "a seed more":
        after = make_cell([0, 1, 2])
    elif change == "a seed less":
        after = make_cell([0])
    sync_cell(make_tracker(uri), before)
    place = tmp_path / "data" / "leaders" / "four_rooms" / "bc_hg"
    after.write(place)
    counts = sync_files(make_tracker(uri), "four_rooms/bc_hg", tmp_path / "data", tmp_path)
    assert (
        counts
        == {
            "a seed more": Counts(logged=1, unchanged=2),
            "a seed less": Counts(unchanged=1, retired=1),
            "another key": Counts(logged=2),
        }[change]
    )
