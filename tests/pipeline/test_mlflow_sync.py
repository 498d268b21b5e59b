"""The script, as a user runs it: a store made again from data/leaders shows what was there."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from bilevelrl.runs.records import CURVE_COLUMNS, LEARNING_COLUMNS, Cell, RunIdentity
from bilevelrl.runs.table_files import write_csv, write_json
from bilevelrl.tracking.tracker import Tracker
from pipeline import mlflow_sync

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
REPOSITORY = Path(__file__).parents[2]


def write_cell(data: Path, problem: str, estimator: str, num_seeds: int) -> None:
    runs = tuple(
        RunIdentity(
            problem, estimator, "published", "temperature=0.003", seed, f"key{seed}", kind=problem
        )
        for seed in range(num_seeds)
    )
    rows = [
        {
            **dict.fromkeys(CURVE_COLUMNS, 0),
            "problem": problem,
            "estimator": estimator,
            "variant": "published",
            "setting": "temperature=0.003",
            "seed": run.seed,
            "update": update,
            "leader_return": 0.5,
        }
        for run in runs
        for update in (9, 19)
    ]
    curves = pd.DataFrame(rows).astype(CURVE_COLUMNS)
    theta = np.zeros((num_seeds, 105))  # as many as the penalties of four_rooms
    Cell(runs, theta, curves).write(data / problem / estimator)


def write_grid(data: Path, *cells: str) -> None:
    names = [cell.split("/") for cell in cells]
    listed = [{"problem": problem, "estimator": estimator} for problem, estimator in names]
    write_json(data / "grid.json", {"cells": listed})


def current(uri: str) -> dict[str, int]:
    """Number of current runs per experiment and estimator."""
    client = MlflowClient(uri)
    names = {found.experiment_id: found.name for found in client.search_experiments()}
    runs = client.search_runs(list(names), "tags.current = 'true'")
    keys = [f"{names[run.info.experiment_id]} {run.data.params['estimator']}" for run in runs]
    return {key: keys.count(key) for key in sorted(set(keys))}


def sync(folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.mlflow_sync"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("clean_environment")
def test_a_deleted_store_is_rebuilt_by_the_command(
    tmp_path: Path, migrated_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data" / "leaders"
    write_cell(data, "four_rooms", "bc_hg", 3)
    write_cell(data, "bilevel_lqr", "naive", 2)
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    assert mlflow_sync.main(data, tmp_path) == 0
    printed = capsys.readouterr().out
    assert printed == "bilevel_lqr naive: 2 logged\nfour_rooms bc_hg: 3 logged\n"
    before = (tmp_path / "mlflow.db").rename(tmp_path / "before.db")

    again = sync(tmp_path, {})
    assert again.returncode == 0, again.stderr
    assert again.stdout == printed
    expected = {"bilevel_lqr naive": 2, "four_rooms bc_hg": 3}
    assert current(f"sqlite:///{before}") == expected
    assert current(f"sqlite:///{tmp_path / 'mlflow.db'}") == expected
    assert len(list(tmp_path.glob("mlruns/four_rooms/*/artifacts/penalty_map.png"))) == 6


def write_followers(data: Path, problem: str, num_seeds: int) -> None:
    rows = [
        (problem, "soft_q", "corrected", 0.003, seed, steps, 1.0 / steps, 0.1 / steps, 2.0 / steps)
        for seed in range(num_seeds)
        for steps in (10, 100)
    ]
    learning = pd.DataFrame(rows, columns=list(LEARNING_COLUMNS))
    write_csv(data / "followers" / problem / "learning.csv", learning)


@pytest.mark.usefixtures("clean_environment")
def test_followers_that_learn_are_shown_beside_the_cells(
    tmp_path: Path, migrated_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    data, uri = tmp_path / "data", f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_cell(data / "leaders", "four_rooms", "bc_hg", 2)
    write_followers(data, "four_rooms", 3)
    write_followers(data, "bilevel_lqr", 0)  # none learns there
    assert mlflow_sync.main(data / "leaders", tmp_path) == 0
    lines = ["four_rooms bc_hg: 2 logged", "four_rooms followers: 3 logged"]
    printed = [line for line in capsys.readouterr().out.splitlines() if "bilevel_lqr" not in line]
    assert printed == lines
    assert current_followers(uri) == [0, 1, 2]

    write_followers(data, "four_rooms", 2)
    assert mlflow_sync.main(data / "leaders", tmp_path) == 0
    assert "four_rooms followers: 2 unchanged, 1 retired" in capsys.readouterr().out
    assert current_followers(uri) == [0, 1]


def current_followers(uri: str) -> list[int]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("followers")
    assert found is not None
    runs = client.search_runs([found.experiment_id], "tags.current = 'true'")
    return sorted(int(run.data.params["seed"]) for run in runs)


@pytest.mark.usefixtures("clean_environment")
def test_a_failed_run_is_shown_without_a_map(tmp_path: Path, migrated_store: Path) -> None:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    data = tmp_path / "data" / "leaders"
    write_cell(data, "four_rooms", "bc_hg", 2)
    cell = Cell.read(data / "four_rooms" / "bc_hg")
    theta = cell.theta.copy()
    theta[1] = np.nan
    runs = (cell.runs[0], replace(cell.runs[1], failure="loss 1e30"))
    Cell(runs, theta, cell.curves).write(data / "four_rooms" / "bc_hg")
    assert mlflow_sync.main(data, tmp_path) == 0
    assert current(f"sqlite:///{tmp_path / 'mlflow.db'}") == {"four_rooms bc_hg": 2}


@pytest.mark.usefixtures("clean_environment")
def test_cells_and_seeds_that_are_gone_are_retired_and_broken_ones_left(
    tmp_path: Path, migrated_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    data = tmp_path / "leaders"
    write_grid(tmp_path, "four_rooms/bc_hg", "four_rooms/naive", "four_rooms/sobirl")
    write_cell(data, "four_rooms", "bc_hg", 3)
    write_cell(data, "four_rooms", "naive", 2)
    write_cell(data, "four_rooms", "sobirl", 2)
    assert mlflow_sync.main(data, tmp_path) == 0
    write_cell(data, "four_rooms", "bc_hg", 2)
    (data / "four_rooms" / "naive").rename(tmp_path / "elsewhere")
    write_grid(tmp_path, "four_rooms/bc_hg", "four_rooms/sobirl")
    (data / "four_rooms" / "sobirl" / "runs.json").write_bytes(b"")
    capsys.readouterr()

    assert mlflow_sync.main(data, tmp_path) == 1
    printed = capsys.readouterr()
    assert printed.out == (
        "four_rooms bc_hg: 2 unchanged, 1 retired\nfour_rooms naive: 2 retired\n"
    )
    assert printed.err.startswith("four_rooms sobirl: left as it was")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert current(uri) == {"four_rooms bc_hg": 2, "four_rooms sobirl": 2}


@pytest.mark.usefixtures("clean_environment")
def test_a_missing_folder_retires_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mlflow_sync.main(tmp_path / "leaders", tmp_path) == 1
    assert "no such folder" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("clean_environment")
def test_an_unwritable_store_is_one_line_and_a_failure_of_the_command(tmp_path: Path) -> None:
    data = tmp_path / "data" / "leaders"
    write_cell(data, "four_rooms", "bc_hg", 3)
    result = sync(tmp_path, {"MLFLOW_TRACKING_URI": "sqlite:////proc/mlflow.db"})
    assert result.returncode == 1
    assert result.stdout == "four_rooms bc_hg: 3 failed\n"
    assert result.stderr.count("\n") == 1
    assert "sqlite:////proc/mlflow.db" in result.stderr


@pytest.mark.usefixtures("clean_environment")
def test_what_stages_leave_is_shown_beside_them_and_to_the_end(
    tmp_path: Path, migrated_store: Path
) -> None:
    data = tmp_path / "data" / "leaders"
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    write_grid(tmp_path / "data", "four_rooms/bc_hg", "bilevel_lqr/naive")
    beside = subprocess.Popen(
        [sys.executable, "-m", "pipeline.mlflow_sync", "--beside"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"},
        stdin=subprocess.PIPE,
    )
    assert beside.stdin is not None
    tracker = Tracker.here(tmp_path)
    with tracker.showing("four_rooms/bc_hg", later=True):
        write_cell(data, "four_rooms", "bc_hg", 3)
    end = time.monotonic() + 60.0
    while tracker.pending() and time.monotonic() < end:
        time.sleep(0.2)
    assert not tracker.pending()
    with tracker.showing("bilevel_lqr/naive", later=True):
        write_cell(data, "bilevel_lqr", "naive", 2)
    beside.stdin.close()
    assert beside.wait(60.0) == 0
    shown = {"bilevel_lqr naive": 2, "four_rooms bc_hg": 3}
    assert current(f"sqlite:///{tmp_path / 'mlflow.db'}") == shown


def test_where_only_a_profile_was_computed_there_is_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cell(tmp_path / ".work" / "profiles" / "quick" / "data" / "leaders", "four_rooms", "x", 1)
    assert mlflow_sync.main(tmp_path / "data" / "leaders", tmp_path) == 0
    assert capsys.readouterr().err == ""
