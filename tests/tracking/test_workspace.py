"""Where runs are shown and whose they are, for clones in folders of any name."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from bilevelrl.tracking.sync import sync_cell
from bilevelrl.tracking.tracker import Counts, Tracker
from bilevelrl.tracking.workspace import tracking_uri, workspace
from pipeline import profile
from tests.tracking.stores import current_seeds, make_cell, search

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


def make_clone(folder: Path) -> Path:
    (folder / ".dvc").mkdir(parents=True)
    return folder


def test_a_clone_is_called_like_its_folder_and_keeps_its_name(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "my clone's")
    name = workspace(clone)
    assert name.startswith("my-clone-s-")
    assert len(name) == len("my-clone-s-") + 6
    assert workspace(clone) == name
    assert [path.name for path in clone.iterdir()] == [".dvc"]
    assert [path.name for path in (clone / ".dvc").iterdir()] == ["tmp"]  # which Git ignores


def test_a_moved_clone_keeps_its_name_and_copies_and_successors_get_their_own(
    tmp_path: Path,
) -> None:
    clone = make_clone(tmp_path / "clone")
    name = workspace(clone)
    shutil.copytree(clone, tmp_path / "copy")
    assert workspace(tmp_path / "copy") != name
    moved = clone.rename(tmp_path / "moved")
    assert workspace(moved) == name
    successor = workspace(make_clone(clone))
    assert successor not in (name, workspace(tmp_path / "copy"))
    assert workspace(moved) == name
    assert workspace(clone) == successor


def test_a_clone_that_cannot_be_written_has_a_name_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".work").write_text("a file where the folder should be")
    assert workspace(tmp_path) == workspace(tmp_path)
    assert workspace(tmp_path).startswith(f"{tmp_path.name}-")


def test_an_experiment_in_a_temporary_folder_belongs_to_its_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, temporary = make_clone(tmp_path / "clone"), make_clone(tmp_path / "exps")
    name = workspace(clone)
    monkeypatch.setenv("DVC_ROOT", str(clone))
    monkeypatch.setenv("DVC_EXP_NAME", "tame-hare")
    assert workspace(temporary) == f"{name}/tame-hare"
    assert tracking_uri(temporary) == f"sqlite:///{clone}/mlflow.db"


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setenv("BILEVELRL_WORKSPACE", "it's mine")
    assert tracking_uri(tmp_path) == "http://localhost:5000"
    assert workspace(tmp_path) == "it-s-mine"


def test_profiles_of_two_clones_are_two_workspaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = []

    def start(command: list[str], **options: dict[str, str]) -> None:
        environments.append(options["env"])

    monkeypatch.setattr(profile, "prepare", lambda *_: None)
    monkeypatch.setattr(profile, "wait", lambda _: 0)
    monkeypatch.setattr(subprocess, "Popen", start)
    clones = [make_clone(tmp_path / name) for name in ("a", "b%")]
    for clone in clones:
        (clone / ".work" / "profiles" / "paper" / ".dvc").mkdir(parents=True)
        profile.main("paper", clone)
    assert [each["BILEVELRL_WORKSPACE"] for each in environments] == [
        f"{workspace(clone)}/paper" for clone in clones
    ]
    assert environments[1]["MLFLOW_TRACKING_URI"] == f"sqlite+pysqlite:///{tmp_path}/b%25/mlflow.db"


def test_two_clones_in_one_store_keep_their_runs(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    clones = [make_clone(tmp_path / where / "bilevelrl") for where in ("here", "there")]
    for clone, seeds in zip(clones, ([0, 1], [1, 2]), strict=True):
        assert sync_cell(Tracker.here(clone), make_cell(seeds)) == Counts(logged=2)
    assert current_seeds(uri) == [0, 1, 1, 2]
    pages = {Tracker.here(clone).page("four_rooms")[0] for clone in clones}
    assert len(pages) == 2
    for clone in clones:
        assert len(search(uri, f"tags.workspace = '{workspace(clone)}'")) == 2


@pytest.mark.parametrize("name", ["100%", "50%25", "what?", "a?timeout=9", "#1", "ü ñ", "a b+c&d"])
def test_runs_are_kept_in_the_clone_whatever_its_folder_is_called(
    name: str, tmp_path: Path, migrated_store: Path
) -> None:
    clone = make_clone(tmp_path / name)
    shutil.copy(migrated_store, clone / "mlflow.db")
    tracker = Tracker.here(clone)
    assert sync_cell(tracker, make_cell([3])) == Counts(logged=1)
    with closing(sqlite3.connect(clone / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    (run,) = search(tracking_uri(clone))
    folder = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=tracking_uri(clone)))
    np.testing.assert_array_equal(np.load(folder / "theta.npy"), [0.0, 1.0])
    assert folder.is_relative_to(clone / "mlruns")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert sync_cell(Tracker.here(clone), make_cell([3])) == Counts(unchanged=1)


@pytest.mark.parametrize("git", ["is missing", "refuses", "knows no commit"])
def test_without_a_commit_runs_are_shown_all_the_same(
    git: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if git == "refuses":
        (programs / "git").write_text("#!/bin/sh\necho fatal: dubious ownership >&2\nexit 128\n")
        (programs / "git").chmod(0o755)
    if git != "knows no commit":
        monkeypatch.setenv("PATH", str(programs))
    else:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    assert sync_cell(Tracker.here(tmp_path), make_cell([0])) == Counts(logged=1)
    (run,) = MlflowClient(uri).search_runs([search(uri)[0].info.experiment_id])
    assert run.data.tags["mlflow.source.git.commit"] == "none"
