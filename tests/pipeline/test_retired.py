"""What leaves the grid leaves MLflow: cells, the followers of a problem, and searches."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.records import LEARNING_COLUMNS
from bilevelrl.runs.table_files import CorruptRecord, write_csv
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from bilevelrl.tracking.finished_runs import cell_name
from bilevelrl.tracking.sync import sync_cell, sync_followers, sync_pending, sync_sweep
from bilevelrl.tracking.tracker import Counts, Tracker
from bilevelrl.tracking.workspace import tracking_uri
from pipeline import grid, mlflow_sync, tuning
from tests.tracking.stores import make_cell, search

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
ROOT = Path(__file__).parents[2]
SWEEPS = ("four_rooms-naive", "four_rooms-bc_hg")


@pytest.fixture
def root(migrated_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with params.yaml, two searches and a store."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "tuning" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "tuning" / "params.yaml", tmp_path / "tuning" / "params.yaml")
    for name in SWEEPS:
        rows = {"step_size": [0.1, 0.5], "critic_steps": [5, None], "score": [1.0, 2.0]}
        pd.DataFrame(rows).assign(standard_error=0.1, variant="published", temperature=0.1).to_csv(
            tmp_path / "tuning" / "results" / f"{name}.csv", index=False
        )
    return tmp_path


def keep(path: Path, *names: str) -> None:
    """Leave only these entries in the grid of a parameter file."""
    content = read_mapping(path)
    content["grid"] = {name: content["grid"][name] for name in names}
    if "grid_problems" in content:
        items = content["grid"].values()
        content["grid_problems"] = {item["problem"]: {"kind": item["kind"]} for item in items}
    path.write_text(mapping_text(content))


def make_learning(problem: str) -> pd.DataFrame:
    rows = [(problem, "soft_q", "corrected", 0.003, 0, steps, 1.0, 0.1, 2.0) for steps in (10, 99)]
    return pd.DataFrame(rows, columns=list(LEARNING_COLUMNS))


def current(root: Path, experiment: str) -> int:
    return len(search(f"sqlite:///{root}/mlflow.db", "tags.current = 'true'", experiment))


def compute(root: Path, problem: str) -> None:
    """The files and runs of a cell and of the followers of its problem."""
    cell = make_cell([0, 1], problem=problem)
    cell.write(root / "data" / "leaders" / cell_name(problem, "bc_hg"))
    write_csv(root / "data" / "followers" / problem / "learning.csv", make_learning(problem))
    sync_cell(Tracker.here(root), cell)
    sync_followers(Tracker.here(root), problem, make_learning(problem))


@pytest.mark.parametrize("who", ["the grid stage", "a sync"])
def test_a_problem_that_leaves_the_grid_is_retired(root: Path, who: str) -> None:
    for problem in ("four_rooms", "bilevel_lqr"):
        compute(root, problem)
    keep(root / "params.yaml", "four_rooms-bc_hg")
    if who == "the grid stage":
        grid.main()
    else:
        listed = [{"problem": "four_rooms", "estimator": "bc_hg"}]
        (root / "data" / "grid.json").write_text(json.dumps({"cells": listed}))
        assert mlflow_sync.main(root / "data" / "leaders", root) == 0
    assert (current(root, "four_rooms"), current(root, "bilevel_lqr")) == (2, 0)
    shown = search(f"sqlite:///{root}/mlflow.db", "tags.current = 'true'", "followers")
    assert [run.data.params["problem"] for run in shown] == ["four_rooms"]


def test_a_problem_without_files_is_retired_by_a_sync(root: Path) -> None:
    for problem in ("four_rooms", "bilevel_lqr"):
        compute(root, problem)
    for kind in ("leaders", "followers"):
        shutil.rmtree(root / "data" / kind / "bilevel_lqr")
    listed = [{"problem": "four_rooms", "estimator": "bc_hg"}]
    (root / "data" / "grid.json").write_text(json.dumps({"cells": listed}))
    assert mlflow_sync.main(root / "data" / "leaders", root) == 0
    assert (current(root, "four_rooms"), current(root, "bilevel_lqr")) == (2, 0)
    assert current(root, "followers") == 1


def test_a_search_is_shown_as_its_table_has_it(root: Path) -> None:
    name = SWEEPS[0]
    assert sync_sweep(Tracker.here(root), name, root) == Counts(logged=2)
    assert sync_sweep(Tracker.here(root), name, root) == Counts(unchanged=2)
    runs = search(f"sqlite:///{root}/mlflow.db", "tags.current = 'true'", f"{name}-tuning")
    shown = {run.info.run_name: (run.data.params, run.data.metrics) for run in runs}
    ends = "temperature=0.1 variant=published"
    params, metrics = shown[f"naive critic_steps=5.0 step_size=0.1 {ends}"]
    assert params["problem"] == "four_rooms"
    assert metrics == {"score": 1.0, "standard_error": 0.1}
    params, _ = shown[f"naive step_size=0.5 {ends}"]
    assert "critic_steps" not in params
    path = root / "tuning" / "results" / f"{name}.csv"
    pd.read_csv(path).iloc[:1].to_csv(path, index=False)
    assert sync_sweep(Tracker.here(root), name, root) == Counts(unchanged=1, retired=1)
    path.unlink()
    with pytest.raises(CorruptRecord, match=name):
        sync_sweep(Tracker.here(root), name, root)
    with pytest.raises(ConfigError, match="no search 'another'"):
        sync_sweep(Tracker.here(root), "another", root)


@pytest.mark.parametrize("who", ["choose", "a sync"])
def test_a_search_that_is_removed_is_retired(root: Path, who: str) -> None:
    for name in SWEEPS:
        sync_sweep(Tracker.here(root), name, root)
    keep(root / "tuning" / "params.yaml", SWEEPS[0])
    if who == "choose":
        shutil.copy(ROOT / "tuning" / "results" / f"{SWEEPS[0]}.csv", root / "tuning" / "results")
        tuning.choose_all()
    else:
        (root / "data" / "leaders").mkdir(parents=True)
        assert mlflow_sync.main(root / "data" / "leaders", root) == 0
    assert [current(root, f"{name}-tuning") for name in SWEEPS] == [2, 0]


def test_a_search_whose_parameters_are_being_edited_is_not(root: Path) -> None:
    sync_sweep(Tracker.here(root), SWEEPS[0], root)
    (root / "tuning" / "params.yaml").write_text("grid: [")
    (root / "data" / "leaders").mkdir(parents=True)
    assert mlflow_sync.main(root / "data" / "leaders", root) == 0
    assert current(root, f"{SWEEPS[0]}-tuning") == 2


def test_a_search_that_could_not_be_shown_is_shown_by_the_next_stage(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/missing/mlflow.db")
    assert sync_sweep(Tracker.here(root), SWEEPS[0], root) == Counts(failed=2)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    sync_pending(Tracker.here(root), root / "data", root)
    assert current(root, f"{SWEEPS[0]}-tuning") == 2


def test_runs_of_removed_experiments_and_profiles_are_retired(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = root / ".dvc" / "tmp" / "exps" / "run" / "1" / "1.run"
    running.parent.mkdir(parents=True)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "a"], check=True)
    for name in ("kept", "a_b"):
        subprocess.run([*git, "update-ref", f"refs/exps/12/34/{name}", "HEAD"], check=True)
    (root / "profiles").mkdir()
    (root / "profiles" / "paper.yaml").touch()
    cell = make_cell([0, 1])
    for name in ("", "kept", "a_b", "a-b", "gone", "paper"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        sync_cell(Tracker.here(root), cell)
    monkeypatch.delenv("DVC_EXP_NAME")
    cell.write(root / "data" / "leaders" / "four_rooms" / "bc_hg")
    listed = {"problem": "four_rooms", "estimator": "bc_hg"}
    (root / "data" / "grid.json").write_text(json.dumps({"cells": [listed]}))

    def current() -> list[str]:
        """The workspaces with two current runs."""
        found = search(tracking_uri(root), "tags.current = 'true'")
        counts = Counter(run.data.tags["workspace"].partition("/")[2] for run in found)
        assert set(counts.values()) == {2}
        return sorted(counts)

    for record in ("", '{"status": 2}', '{"status": 3}'):  # it may be the one without a name yet
        running.write_text(record)
        assert mlflow_sync.main(root / "data" / "leaders", root) == 0
        assert current() == ["", "a-b", "a_b", "gone", "kept", "paper"]
    running.write_text('{"status": 6}')  # of the queue, where records stay
    assert mlflow_sync.main(root / "data" / "leaders", root) == 0
    assert current() == ["", "a_b", "kept", "paper"]
