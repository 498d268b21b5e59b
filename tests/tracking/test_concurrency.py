"""A stage and a sync, or two syncs, at once: what is shown when both have ended."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.runs.records import Cell, RunIdentity
from bilevelrl.tracking import claims as claims_module
from bilevelrl.tracking import finished_runs
from bilevelrl.tracking.sync import retire_left, sync_cell, sync_files, sync_pending
from bilevelrl.tracking.tracker import Counts, Tracker
from pipeline import mlflow_sync
from tests.tracking.stores import current_seeds, make_cell, make_tracker, search

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
CELL = "four_rooms/bc_hg"
Theta = NDArray[np.float64]


@pytest.fixture
def root(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with its store, whose grid lists one cell that nobody has computed."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert uri.endswith(f"{tmp_path}/mlflow.db")
    write_grid(tmp_path, CELL)
    (tmp_path / "data" / "leaders").mkdir()
    return tmp_path


def write_grid(root: Path, *cells: str) -> None:
    names = [cell.split("/") for cell in cells]
    listed = [{"problem": problem, "estimator": estimator} for problem, estimator in names]
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "grid.json").write_text(json.dumps({"cells": listed}))


def sync(root: Path) -> int:
    return mlflow_sync.main(root / "data" / "leaders", root)


def stage(root: Path, cell: Cell) -> Counts:
    """What the leaders stage does when it has trained."""
    tracker = Tracker.here(root)
    with tracker.showing(CELL):
        cell.write(root / "data" / "leaders" / CELL)
        return sync_cell(tracker, cell)


def current_keys(uri: str) -> list[str]:
    return sorted(run.data.tags["run_key"] for run in search(uri, "tags.current = 'true'"))


@pytest.mark.parametrize("grid", ["lists it", "is away", "is half-written"])
def test_what_is_being_computed_stays_shown(root: Path, uri: str, grid: str) -> None:
    stage(root, make_cell([0, 1]))
    shutil.rmtree(root / "data" / "leaders" / CELL)  # DVC, before it runs the stage again
    if grid == "is away":
        (root / "data" / "grid.json").unlink()
    elif grid == "is half-written":
        (root / "data" / "grid.json").write_text('{"cells": [')
    assert sync(root) == 0
    assert current_seeds(uri) == [0, 1]


def test_what_has_left_the_grid_is_retired_though_its_folder_stands(root: Path, uri: str) -> None:
    stage(root, make_cell([0, 1]))
    write_grid(root, "four_rooms/naive")
    assert sync(root) == 0
    assert current_seeds(uri) == []
    write_grid(root, CELL)
    assert sync(root) == 0
    assert current_seeds(uri) == [0, 1]


def test_a_cell_that_comes_back_while_a_sync_retires_is_left(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(root, make_cell([0, 1]))
    write_grid(root, "four_rooms/naive")
    tracker = Tracker.here(root)
    claim = claims_module.Claims.claim

    def late(self: claims_module.Claims, cell: str, wait: bool) -> object:
        write_grid(root, CELL)  # between the look at the grid and the claim
        return claim(self, cell, wait)

    monkeypatch.setattr(claims_module.Claims, "claim", late)
    retire_left(tracker, root / "data", root)
    assert current_seeds(uri) == [0, 1]


def test_a_sync_in_the_middle_of_a_stage_leaves_its_runs_alone(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync_meanwhile(who: RunIdentity, theta: Theta, folder: Path) -> None:
        if who.seed:  # one run is finished, the other open
            assert sync(root) == 0

    stage(root, make_cell([0, 1], "old"))
    monkeypatch.setattr(finished_runs, "draw_pictures", sync_meanwhile)
    assert stage(root, make_cell([0, 1, 2], "new")) == Counts(logged=3)
    assert current_keys(uri) == ["new0", "new1", "new2"]
    assert {run.info.status for run in search(uri)} == {"FINISHED"}
    assert len(search(uri)) == 5


def test_a_stage_that_ends_while_a_sync_shows_the_old_cell_comes_last(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, begun, may_go_on = make_cell([0, 1], "old"), threading.Event(), threading.Event()

    def hold(who: RunIdentity, theta: Theta, folder: Path) -> None:
        begun.set()
        assert may_go_on.wait(60)

    old.write(root / "data" / "leaders" / CELL)
    monkeypatch.setattr(finished_runs, "draw_pictures", hold)
    reader = threading.Thread(
        target=sync_files, args=(Tracker.here(root), CELL, root / "data", root)
    )
    reader.start()
    assert begun.wait(60)
    monkeypatch.setattr(finished_runs, "draw_pictures", lambda *_: None)
    threading.Timer(0.5, may_go_on.set).start()
    assert stage(root, make_cell([0, 1], "new")) == Counts(logged=2)
    reader.join(60)
    assert current_keys(uri) == ["new0", "new1"]


def test_a_stopped_sync_does_not_keep_a_stage_from_its_end(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "PATIENCE", 0.3)
    with Tracker.here(root).showing(CELL):  # and never goes on
        assert stage(root, make_cell([0])) == Counts(logged=1)
    assert current_seeds(uri) == [0]


def test_two_syncs_at_once_log_nothing_twice(root: Path, uri: str) -> None:
    cell = make_cell(range(6))
    with_map = replace(cell, theta=np.zeros((6, 105)))  # penalties of the map that is drawn
    with_map.write(root / "data" / "leaders" / CELL)
    command = [sys.executable, "-m", "pipeline.mlflow_sync"]
    here = Path(__file__).parents[2]
    paths = f"{here / 'src'}:{here}"
    both = [
        subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": paths})
        for _ in range(2)
    ]
    assert [process.wait(600) for process in both] == [0, 0]
    assert current_seeds(uri) == list(range(6))
    assert len(search(uri)) == 6


def test_what_a_kill_left_half_shown_is_shown_by_the_next_stage(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(who: RunIdentity, theta: Theta, folder: Path) -> None:
        if who.seed == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finished_runs, "draw_pictures", kill)
        with pytest.raises(KeyboardInterrupt):
            stage(root, make_cell([0, 1, 2]))
    tracker = Tracker.here(root)
    assert tracker.pending() == [CELL]
    sync_pending(tracker, root / "data", root)
    assert current_seeds(uri) == [0, 1, 2]
    assert tracker.pending() == []


def test_what_a_stage_gave_up_is_shown_by_the_next_one(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_cell([0, 1]).write(tmp_path / "data" / "leaders" / CELL)
    marks = tmp_path / "marks"
    broken = make_tracker(f"sqlite:///{tmp_path}/missing/mlflow.db", folder=marks)
    assert sync_cell(broken, make_cell([0, 1])) == Counts(failed=2)
    assert make_tracker(uri, folder=marks, workspace="another").pending() == []

    def next_stage(uri: str) -> Tracker:
        tracker = make_tracker(uri, folder=marks)
        sync_cell(tracker, make_cell([5], estimator="naive"))
        sync_pending(tracker, tmp_path / "data", tmp_path)
        return tracker

    still = next_stage(broken._store.uri)
    assert still.pending() == [CELL, "four_rooms/naive"]
    assert next_stage(uri).pending() == []
    assert current_seeds(uri) == [0, 1, 5]
    warned = [each for each in caplog.records if each.name.startswith("bilevelrl")]
    assert len(warned) == 2


def test_a_pending_cell_without_files_waits_for_its_stage(root: Path, uri: str) -> None:
    tracker = Tracker.here(root)
    with pytest.raises(OSError, match="full"), tracker.showing(CELL):
        raise OSError("full")
    sync_pending(tracker, root / "data", root)
    assert tracker.pending() == [CELL]
    assert not tracker.failed
    write_grid(root, "four_rooms/naive")
    sync_pending(tracker, root / "data", root)
    assert tracker.pending() == []
