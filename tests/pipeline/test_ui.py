"""`make ui`, as a user runs it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from bilevelrl.tracking.sync import sync_cell
from bilevelrl.tracking.tracker import Tracker
from bilevelrl.tracking.workspace import workspace
from pipeline import ui
from tests.tracking.stores import make_cell

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(migrated_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a `%` in its path and two runs of one cell."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "50% done"
    cell = make_cell([0, 1])
    cell.write(root / "data" / "leaders" / "four_rooms" / "bc_hg")
    (root / "mlflow.db").write_bytes(migrated_store.read_bytes())
    sync_cell(Tracker.here(root), cell)
    return root


def test_the_last_port_is_one_too() -> None:
    assert "PORT=65536" not in ui.unusable(65535)
    assert "there are ports" not in ui.unusable(65535)


def test_a_server_that_nobody_runs_gets_no_links_and_status_1(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert ui.main(0, project) == 1
    assert capsys.readouterr().out == "four_rooms bc_hg: 2 failed\n"


@pytest.mark.parametrize("taken", [True, False])
def test_a_port_that_cannot_be_used_is_said_before_anything_else(
    taken: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if taken else 70000
        assert ui.main(port, tmp_path) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: port {port}: ")
    assert ("make ui PORT=" in line) == taken
    assert taken or "there are ports 1 to 65535" in line
    assert list(tmp_path.iterdir()) == []  # no sync either


def test_make_ui_is_this_script() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(
        r"^ui: .*\n\t@python -m pipeline\.ui --port \$\(PORT\)\n$", makefile, re.MULTILINE
    )


def test_the_view_shows_the_current_runs_of_one_setting_by_estimator(project: Path) -> None:
    tracker = Tracker.here(project)
    uri = f"sqlite+pysqlite:///{str(project).replace('%', '%25')}/mlflow.db"
    assert tracker.current_cells() == {"four_rooms/bc_hg"}
    page, setting = tracker.page("four_rooms")
    assert setting == "temperature=0.003"
    number, _, key = re.fullmatch(
        r"#/experiments/(\d+)/runs\?(workflowType=machine_learning&compareRunsMode=CHART)"
        r"&viewStateShareKey=(\w+)",
        page,
    ).groups()  # type: ignore[union-attr]
    client = MlflowClient(uri)
    view = json.loads(client.get_experiment(number).tags[f"mlflow.sharedViewState.{key}"])
    by_estimator = {"mode": "param", "groupByData": "estimator"}
    assert view["groupBy"]["groupByKeys"] == [by_estimator]
    assert f"tags.workspace = '{workspace(project)}'" in view["searchFilter"]
    shown = client.search_runs([number], view["searchFilter"], order_by=["params.`seed` ASC"])
    assert [run.data.params["seed"] for run in shown] == ["0", "1"]
    # Another setting does not count, another variant is a line of its own.
    cell = make_cell([0, 1])
    others = (("published", "temperature=1"), ("corrected", setting))
    for (variant, other), number_of_groups in zip(others, (1, 2), strict=True):
        extra = replace(cell.runs[0], seed=5, variant=variant, setting=other)
        curve = cell.curves[cell.curves["seed"] == 0]
        curve = curve.assign(seed=5, variant=variant, setting=other)
        runs, curves = (*cell.runs, extra), pd.concat([cell.curves, curve], ignore_index=True)
        sync_cell(tracker, replace(cell, runs=runs, theta=np.zeros((3, 2)), curves=curves))
        assert tracker.page("four_rooms") == (page, setting)
        view = json.loads(client.get_experiment(number).tags[f"mlflow.sharedViewState.{key}"])
        assert len(view["groupBy"]["groupByKeys"]) == number_of_groups
        assert view["groupBy"]["groupByKeys"][0] == by_estimator
    metrics = sorted({name for run in shown for name in run.data.metrics})
    assert metrics[0] == "1_return/leader_return"  # the UI sorts sections and charts by name


def test_it_says_where_it_runs_once_it_answers_and_ends_quietly(
    project: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.ui", "--port", str(port)],
            cwd=project,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 180
        while "MLflow runs at" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, output.read_text()
            time.sleep(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
        known = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name"
        with urllib.request.urlopen(f"{known}?experiment_name=four_rooms", timeout=10) as answer:
            assert answer.status == 200  # it reads this clone's database
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0
    printed = output.read_text()
    assert "four_rooms bc_hg: 2 unchanged" in printed
    assert f"four_rooms temperature=0.003\n    http://127.0.0.1:{port}/#/experiments/" in printed
    assert "Traceback" not in printed
    with socket.create_server(("127.0.0.1", port)):  # nobody is left there
        pass
    # No other folder, of a name that somebody encoded.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["50% done", "output"]


class Told(ui.Links):
    """Counts instead of printing."""

    count = 0

    def print_new(self) -> None:
        self.count += 1


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("slow", [True, False])
def test_it_says_that_a_sync_still_runs_and_how_it_ended(
    slow: bool, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sync = subprocess.Popen(["sh", "-c", f"sleep {0.5 if slow else 0}; exit {status}"])
    if not slow:
        sync.wait()
    links = Told(tmp_path, "")
    ui.report(sync, links)
    printed = capsys.readouterr()
    assert ("is still being brought up to date" in printed.out) == slow
    assert ("MLflow is up to date" in printed.out) == (slow and status == 0)
    assert links.count == int(slow and status == 0)  # of what the sync has added
    assert ("MLflow is not up to date" in printed.err) == (status == 1)


def test_a_store_without_tables_gets_them_before_server_and_sync_start(
    tmp_path: Path, migrated_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(ui.Links, "pages", lambda self: asked.append(self) or {})
    path = tmp_path / "mlflow.db"
    ui.create_store(f"sqlite:///{path}", tmp_path)
    path.touch()
    ui.create_store(f"sqlite:///{path}", tmp_path)
    assert len(asked) == 2
    path.write_bytes(migrated_store.read_bytes())
    ui.create_store(f"sqlite:///{path}", tmp_path)
    assert len(asked) == 2


def test_a_profile_has_links_until_the_grid_itself_has(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def links() -> set[str]:
        return set(ui.Links(project, "").pages())

    cell = make_cell([0, 1])
    cell.write(project / ".work/profiles/quick/data/leaders/four_rooms/bc_hg")
    sync_cell(Tracker.here(project, "quick"), cell)
    assert links() == {"four_rooms"}
    Tracker.here(project).retire("four_rooms/bc_hg")
    assert links() == {"quick: four_rooms"}
    page, setting = ui.Links(project, "").pages()["quick: four_rooms"]
    assert page.startswith("#/experiments/")
    assert setting
