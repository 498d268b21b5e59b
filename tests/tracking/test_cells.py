"""Tracking against real SQLite stores: what the filter `tags.current = 'true'` shows afterwards."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from numpy.typing import NDArray

from bilevelrl.runs.records import CURVE_COLUMNS, RunIdentity
from bilevelrl.runs.table_files import CorruptRecord
from bilevelrl.tracking import finished_runs
from bilevelrl.tracking.finished_runs import cell_entries
from bilevelrl.tracking.sync import sync_cell
from bilevelrl.tracking.tracker import Counts
from tests.tracking.stores import current_seeds, make_cell, make_tracker, search

#: MLflow's own use of SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_run_shows_its_parameters_tags_curves_and_files(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(who: RunIdentity, theta: NDArray[np.float64], folder: Path) -> None:
        (folder / "map.txt").write_text(f"seed {who.seed}")

    monkeypatch.setattr(finished_runs, "draw_pictures", draw)
    cell = make_cell([7])
    assert sync_cell(make_tracker(uri), cell) == Counts(logged=1)
    (run,) = search(uri)
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "problem": "four_rooms",
        "estimator": "bc_hg",
        "variant": "published",
        "setting": "temperature=0.003",
        "seed": "7",
        "temperature": "0.003",
        "critic.step size": "0.1",
    }
    expected = {
        "slot": "workspace/four_rooms/bc_hg/published/temperature=0.003/7",
        "run_key": "a7",
        "current": "true",
        "workspace": "workspace",
        "variant": "published",
        "dvc_stage": "leaders@four_rooms-bc_hg",
        "mlflow.source.git.commit": "c0ffee",
        "params_digest": "d1",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.data.metrics["4_transitions/env_steps"] == 99_000
    assert "failure" not in run.data.tags
    assert "2_gradient/cosine" not in run.data.metrics  # NaN throughout
    folder = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=uri))
    assert folder.is_relative_to(tmp_path / "mlruns")
    np.testing.assert_array_equal(np.load(folder / "theta.npy"), cell.theta[0])
    assert json.loads((folder / "params.json").read_text())["critic"] == {"step size": 0.1}
    assert (folder / "map.txt").read_text() == "seed 7"


def test_the_final_return_averages_the_windows_of_the_last_tenth(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0], num_rows=50))  # last update 999: 919 to 999 average
    (logged,) = search(uri)
    assert logged.data.metrics["1_return/leader_return_final"] == pytest.approx(
        np.mean([919, 939, 959, 979, 999]) / 999
    )


def test_a_second_put_logs_nothing(uri: str) -> None:
    cell = make_cell([0, 1])
    assert sync_cell(make_tracker(uri), cell) == Counts(logged=2)
    tracker = make_tracker(uri)
    assert sync_cell(tracker, cell) == Counts(unchanged=2)
    assert sync_cell(tracker, cell) == Counts(unchanged=2)
    assert len(search(uri)) == 2


def test_a_new_key_supersedes_and_an_old_key_revives(uri: str) -> None:
    old, new = make_cell([0, 1], "old"), make_cell([0, 1], "new")
    sync_cell(make_tracker(uri), old)
    assert sync_cell(make_tracker(uri), new) == Counts(logged=2)
    keys = {run.info.run_id: run.data.tags["run_key"] for run in search(uri)}
    retired = search(uri, "tags.current = 'false'")
    assert {run.data.tags["run_key"] for run in retired} == {"old0", "old1"}
    for run in retired:
        successor = keys[run.data.tags["superseded_by"]]
        assert successor == run.data.tags["run_key"].replace("old", "new")

    assert sync_cell(make_tracker(uri), old) == Counts(revived=2)
    current = search(uri, "tags.current = 'true'")
    assert {run.data.tags["run_key"] for run in current} == {"old0", "old1"}
    assert not any("superseded_by" in run.data.tags for run in current)
    assert len(search(uri)) == 4


def test_a_seed_that_left_the_grid_is_retired_and_may_come_back(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0, 1, 2]))
    sync_cell(make_tracker(uri), make_cell([0, 1, 2], estimator="naive"))
    assert sync_cell(make_tracker(uri), make_cell([0, 2])) == Counts(unchanged=2, retired=1)
    assert current_seeds(uri) == [0, 0, 1, 2, 2]  # the other cell keeps its three
    assert sync_cell(make_tracker(uri), make_cell([0, 1])) == Counts(
        unchanged=1, revived=1, retired=1
    )
    assert current_seeds(uri) == [0, 0, 1, 1, 2]


def test_a_run_left_open_by_a_crash_is_closed_and_logged_anew(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(who: RunIdentity, theta: NDArray[np.float64], folder: Path) -> None:
        raise KeyboardInterrupt

    sync_cell(make_tracker(uri), make_cell([0], "old"))
    with monkeypatch.context() as patched:
        patched.setattr(finished_runs, "draw_pictures", crash)
        with pytest.raises(KeyboardInterrupt):
            sync_cell(make_tracker(uri), make_cell([0], "new"))
    assert [run.info.status for run in search(uri, "tags.current = 'true'")] == ["FINISHED"]
    assert len(search(uri, "attributes.status = 'RUNNING'")) == 1

    assert sync_cell(make_tracker(uri), make_cell([0], "new")) == Counts(logged=1)
    assert [run.data.tags["run_key"] for run in search(uri, "tags.current = 'true'")] == ["new0"]
    (killed,) = search(uri, "attributes.status = 'KILLED'")
    assert killed.data.tags["current"] == "false"
    assert not search(uri, "attributes.status = 'RUNNING'")


def test_two_workspaces_do_not_retire_each_other(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0, 1]))
    assert sync_cell(make_tracker(uri, "tame-hare"), make_cell([1, 2], "b")) == Counts(logged=2)
    assert current_seeds(uri) == [0, 1, 1, 2]
    assert make_tracker(uri, "third").current_cells() == set()
    assert make_tracker(uri).current_cells() == {"four_rooms/bc_hg"}


def test_curves_are_thinned_between_their_ends_and_keep_nan_but_not_infinity(uri: str) -> None:
    cell = make_cell([0], num_rows=500)
    cell.curves["cosine"] = np.where(cell.curves["update"] > 5000, 0.5, np.nan)
    cell.curves["gradient_norm"] = np.where(cell.curves["update"] > 5000, np.inf, 1.0)
    sync_cell(make_tracker(uri), cell)
    (logged,) = search(uri)
    client = MlflowClient(uri)
    history = {
        name.partition("/")[2]: client.get_metric_history(logged.info.run_id, name)
        for name in ("1_return/leader_return", "2_gradient/cosine", "2_gradient/gradient_norm")
    }
    steps = [point.step for point in history["leader_return"]]
    assert len(steps) == 25
    assert (min(steps), max(steps)) == (19, 9999)
    assert any(np.isnan(point.value) for point in history["cosine"])
    sparse = [point.step for point in history["cosine"]]
    assert len(sparse) == 7
    assert (min(sparse), max(sparse)) == (19, 9999)
    assert set(sparse) <= set(steps)
    assert {point.value for point in history["gradient_norm"]} == {1.0}


def test_a_run_of_many_and_long_parameters_is_logged(uri: str) -> None:
    cell = make_cell([0])
    values = {f"weight@{index}": "x" * 7000 for index in range(150)}
    many = replace(cell, runs=(replace(cell.runs[0], hyperparameters=values),))
    assert sync_cell(make_tracker(uri), many) == Counts(logged=1)
    (run,) = search(uri)
    assert len(run.data.params) == 155
    assert len(run.data.params["weight_149"]) == 6000


def test_an_experiment_deleted_by_hand_comes_back(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0]))
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("four_rooms")
    assert found is not None
    client.delete_experiment(found.experiment_id)
    sync_cell(make_tracker(uri), make_cell([0, 1]))
    assert current_seeds(uri) == [0, 1]


def test_a_run_whose_follower_diverged_says_so(uri: str) -> None:
    cell = make_cell([0, 1])
    measured = [name for name, kind in CURVE_COLUMNS.items() if kind == "float64"]
    cell.curves.loc[cell.curves["seed"] == 1, measured] = np.nan
    runs = (cell.runs[0], replace(cell.runs[1], failure="loss 1e30 is not below 1e10"))
    theta = np.where(np.arange(2)[:, None] == 1, np.nan, cell.theta)
    assert sync_cell(make_tracker(uri), replace(cell, runs=runs, theta=theta)) == Counts(logged=2)
    tags = {run.data.params["seed"]: run.data.tags for run in search(uri)}
    assert tags["1"]["failure"] == "loss 1e30 is not below 1e10"
    assert "failure" not in tags["0"]
    (failed,) = search(uri, "tags.failure != ''")
    assert failed.data.params["seed"] == "1"
    assert failed.info.status == "FINISHED"


@pytest.mark.parametrize("kind", ["a folder", "no folder", "not a database", "no server"])
def test_a_store_that_fails_is_one_line_and_no_exception(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    if kind == "a folder":
        path.mkdir()
    elif kind == "no folder":
        uri = f"sqlite:///{tmp_path / 'missing' / 'mlflow.db'}"
    elif kind == "not a database":
        path.write_text("not a database " * 1000)
    else:
        uri = "http://me:secret@127.0.0.1:9"
    start = time.monotonic()
    tracker = make_tracker(uri)
    assert sync_cell(tracker, make_cell([0, 1, 2])) == Counts(failed=3)
    assert tracker.current_cells() == set()
    assert tracker.failed
    assert time.monotonic() - start < 10
    (line,) = [
        record.getMessage() for record in caplog.records if record.name.startswith("bilevelrl")
    ]
    assert "\n" not in line
    assert uri.replace("me:secret", "***") in line
    assert "secret" not in line
    assert "python -m pipeline.mlflow_sync" in line


def test_a_run_without_a_curve_is_a_corrupt_record() -> None:
    cell = make_cell([0, 1])
    with pytest.raises(CorruptRecord, match="no curve of four_rooms, bc_hg"):
        list(cell_entries("w", replace(cell, curves=cell.curves.query("seed == 0"))))


def test_importing_and_constructing_does_not_import_mlflow() -> None:
    code = (
        "import sys; from pathlib import Path; from bilevelrl.tracking.tracker import Tracker;"
        "Tracker.here(Path.cwd()); print('mlflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
