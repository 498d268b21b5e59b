"""The pipeline as a user runs it: `dvc` commands in a clone, with the numbers of the smoke profile.

One clone is computed once; every test starts from that state and puts it back. The code that runs
is the clone's own (it comes first on PYTHONPATH), with compiled kernels of its own.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from bilevelrl.config import FAMILIES, read_params
from bilevelrl.config.families import WITHOUT_GROUND_TRUTH
from bilevelrl.records import SUMMARY_COLUMNS
from pipeline.profile import merge

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TIMEOUT = 900.0  # seconds, for a whole pipeline on a busy machine
NAIVE = "leaders@four_rooms-naive"
AFTER = ["evaluate", "figures"]


@dataclass(frozen=True)
class Output:
    """What a command left: everything it printed, in order, and its exit status."""

    text: str
    status: int

    @property
    def stages(self) -> list[str]:
        """The stages that were really run."""
        return re.findall(r"^Running stage '(.+)':", self.text, re.MULTILINE)

    def lines_with(self, part: str) -> list[str]:
        return [line for line in self.text.splitlines() if part in line]


@dataclass(frozen=True)
class Clone:
    """A copy of the project's files in a Git and DVC repository of its own."""

    folder: Path

    @property
    def store(self) -> Path:
        """Where MLflow keeps its runs."""
        return self.folder / "mlflow.db"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("BILEVELRL_", "DVC_", "MLFLOW_", "GIT_"))
            # users have it unset, and then Python writes into folders that stages depend on
            and key != "PYTHONDONTWRITEBYTECODE"
        }
        identity = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "a user"), ("EMAIL", "user@localhost"))
        }
        return inherited | identity | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONPATH": str(self.folder / "src"),
            "NUMBA_CACHE_DIR": str(self.folder.parent / "numba"),
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site"),
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }  # fmt: skip

    def start(self, *command: str, **extra: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, status: int | None = 0, **extra: str) -> Output:
        """Run a command; `status` None accepts any."""
        process = self.start(*command, **extra)
        try:
            text, _ = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert status in (None, process.returncode), f"{command}: {process.returncode}\n{text}"
        return Output(text, process.returncode)

    def commit(self) -> None:
        self.run("git", "add", "--all", ".")
        self.run("git", "commit", "--quiet", "--message", "a state to return to")

    def put_back(self) -> None:
        """The last commit, and what DVC knows to belong to it."""
        self.run("git", "checkout", "--quiet", "--force", ".")
        self.run("git", "clean", "--quiet", "-d", "--force")
        self.run("dvc", "checkout", "--quiet", "--force", "dvc.yaml")

    def set(self, key: str, value: Any) -> None:
        """Change one dotted key of params.yaml, or remove it if the value is `...`."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        *parents, last = key.split(".")
        block = content
        for part in parents:
            block = block[part]
        if value is ...:
            del block[last]
        else:
            block[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def hashes(self) -> dict[str, str]:
        """All that the stages wrote, and dvc.lock."""
        paths = [self.folder / "dvc.lock"]
        for name in ("data", "results", "figures"):
            paths += (self.folder / name).rglob("*")
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if path.is_file()
        }

    def summary(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "results" / "summary.csv")

    def num_runs(self, problem: str = "") -> Counter[str]:
        """Settings x seeds of every estimator in params.yaml, of one problem or of all."""
        params = read_params(self.folder / "params.yaml")
        runs: Counter[str] = Counter()
        for item in params.grid.values():
            if problem in ("", item.problem):
                settings = params.settings(item.problem, item.estimator)
                runs[item.estimator] += sum(len(setting.seeds) for setting in settings)
        return runs

    def stages(self) -> list[str]:
        """All stages of the pipeline."""
        kinds = ("environments", "followers", "gradients")
        cells = [f"leaders@{name}" for name in read_params(self.folder / "params.yaml").grid]
        known = {f"{kind}@{problem}" for kind in kinds for problem in FAMILIES}
        known -= {f"gradients@{problem}" for problem in WITHOUT_GROUND_TRUTH}
        return sorted(["grid", *known, *cells, *AFTER])

    def tracked(self) -> Counter[str]:
        """Current runs of the workspace in MLflow, by estimator."""
        return Counter(
            estimator
            for (estimator,) in self.ask_store(
                "SELECT params.value FROM params"
                " JOIN tags AS current ON current.run_uuid = params.run_uuid"
                " JOIN tags AS workspace ON workspace.run_uuid = params.run_uuid"
                " WHERE params.key = 'estimator'"
                " AND current.key = 'current' AND current.value = 'true'"
                " AND workspace.key = 'workspace' AND workspace.value = 'workspace'"
            )
        )

    def unfinished(self) -> list[tuple[str]]:
        """Runs in MLflow that look as if somebody were still computing them."""
        return self.ask_store("SELECT name FROM runs WHERE status = 'RUNNING'")

    def ask_store(self, query: str) -> list[tuple[str]]:
        # Not through MLflow's client, which would go on reading a file that was replaced.
        with closing(sqlite3.connect(self.store)) as store:
            return store.execute(query).fetchall()


def make_clone(folder: Path) -> Clone:
    """Tracked files and those that could be, as `git clone` after `git add` would give them."""
    clone = Clone(folder)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not deleted since
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    profile = yaml.safe_load((folder / "profiles" / "smoke.yaml").read_text(encoding="utf-8"))
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    text = yaml.safe_dump(merge(params, profile), sort_keys=False)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    clone.run("git", "init", "--quiet", ".")
    if not (folder / ".dvc" / "config").exists():
        clone.run("dvc", "init", "--quiet")
    clone.commit()
    return clone


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Output]:
    """A clone, and what the first `dvc repro` in it printed."""
    clone = make_clone(tmp_path_factory.mktemp("smoke") / "clone")
    output = clone.run("dvc", "repro")
    clone.commit()
    shutil.copy2(clone.store, clone.folder.parent)
    return clone, output


@pytest.fixture
def clone(first: tuple[Clone, Output]) -> Iterator[Clone]:
    """The computed clone; left as it was found."""
    clone, _ = first
    yield clone
    clone.put_back()
    shutil.copy2(clone.folder.parent / clone.store.name, clone.store)


def test_a_misspelt_key_stops_the_first_stage_with_one_line(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "clone")
    clone.set("cells.four_rooms.naive.published_100.stepsize", 0.1)
    output = clone.run("dvc", "repro", status=255)
    assert len(output.stages) == 1  # whichever DVC takes first: all of them read all parameters
    assert "Traceback" not in output.text
    (line,) = output.lines_with("unknown key")
    assert line.startswith("error: params.yaml: cells.four_rooms.naive.published_100")
    assert "stepsize = 0.1" in line
    assert "did you mean step_size?" in line
    assert not (clone.folder / "data" / "environments").exists()


def test_the_first_run_computes_every_stage_once(first: tuple[Clone, Output]) -> None:
    clone, output = first
    assert len(clone.num_runs("four_rooms")) == 8
    assert len(clone.num_runs("discrete_toy_r1")) + len(clone.num_runs("bilevel_lqr")) > 4
    assert sorted(output.stages) == sorted(clone.stages())
    # A follower whose problem has no cell in this grid is nobody's input and may come last.
    assert [stage for stage in output.stages if stage in AFTER] == AFTER
    summary = clone.summary()
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert set(summary["estimator"]) == set(clone.num_runs())
    assert len(list((clone.folder / "figures").rglob("*.png"))) >= 5
    assert len(list((clone.folder / "figures").rglob("*.pdf"))) >= 5
    assert json.loads((clone.folder / "results" / "metrics.json").read_text())["four_rooms"]


def test_a_second_run_runs_nothing(clone: Clone) -> None:
    assert list((clone.folder / "src").rglob("*.pyc"))  # compiled files are no change
    output = clone.run("dvc", "repro")
    assert output.stages == []
    assert "up to date" in output.text
    assert clone.run("git", "status", "--porcelain").text == ""


def test_forcing_all_stages_gives_the_same_bytes(clone: Clone) -> None:
    before = clone.hashes()
    output = clone.run("dvc", "repro", "--force")
    assert sorted(output.stages) == sorted(clone.stages())
    after = clone.hashes()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()
    assert len(before) > 50


def test_another_step_size_reruns_its_cell_and_what_follows(clone: Clone) -> None:
    key = "cells.four_rooms.naive.published_100.step_size"
    before = clone.summary()
    clone.set(key, 0.1)
    output = clone.run("dvc", "repro")
    assert output.stages == [NAIVE, *AFTER]
    after = clone.summary()
    changed = before["value"].ne(after["value"]) & ~(before["value"].isna() & after["value"].isna())
    assert set(before.loc[changed, "estimator"]) == {"naive"}
    assert set(before.loc[changed, "setting"]) == {
        "env_steps_per_update=100;follower=exact;information=full;temperature=0.003"
    }
    difference = json.loads(clone.run("dvc", "metrics", "diff", "--json").text.splitlines()[-1])
    assert "results/metrics.json" in difference
    assert {name.split(".")[1] for name in difference["results/metrics.json"]} == {"naive"}
    plots = clone.run("dvc", "plots", "diff", "HEAD")
    assert (clone.folder / "dvc_plots" / "index.html").exists(), plots.text


def test_an_estimator_that_leaves_the_grid_leaves_the_results(clone: Clone) -> None:
    clone.set("grid.four_rooms-sobirl", ...)
    output = clone.run("dvc", "repro", "evaluate")
    assert output.stages == ["grid", "evaluate"]
    assert set(clone.summary()["estimator"]) == set(clone.num_runs())
    assert "sobirl" not in clone.num_runs()
    assert not (clone.folder / "data" / "leaders" / "four_rooms" / "sobirl").exists()
    for path in (clone.folder / "results").glob("*.*"):
        if path.name not in ("gradients.csv", "against_published.csv"):
            assert "sobirl" not in path.read_text(), path
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == clone.num_runs()


def pieces(clone: Clone) -> dict[Path, int]:
    """Finished runs in the work folder, with the time at which they were written."""
    found = (clone.folder / ".work" / "runs").rglob("*")
    return {path: path.stat().st_mtime_ns for path in found if path.is_file()}


def test_a_killed_stage_goes_on_where_it_stopped(clone: Clone) -> None:
    # Six settings, each a chunk of its own, one after the other.
    entry = {
        "variant": "published", "temperature": 0.003, "num_envs": 1, "step_size": 0.5,
        "num_seeds": 1, "num_updates": 4000,
    }  # fmt: skip
    budgets = range(110, 170, 10)
    entries = {
        f"published_{budget}": {**entry, "env_steps_per_update": budget} for budget in budgets
    }
    clone.set("cells.four_rooms.naive", entries)
    clone.set("runtime.jobs", 1)
    before = pieces(clone)
    process = clone.start("dvc", "repro", NAIVE)
    begin = time.monotonic()
    while len(pieces(clone)) < len(before) + 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() - begin < TIMEOUT
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = pieces(clone)
    num_kept = len(kept) - len(before)
    assert 2 <= num_kept < len(budgets)
    assert all(path.suffix == ".npz" for path in kept)

    output = clone.run("dvc", "repro", NAIVE)
    assert output.stages == [NAIVE]
    after = pieces(clone)
    assert len(after) == len(before) + len(budgets)
    assert {path: after[path] for path in kept} == kept  # not computed again
    table = pd.read_parquet(clone.folder / "data/leaders/four_rooms/naive/curves.parquet")
    assert table["setting"].nunique() == len(budgets)
    assert (table.groupby("setting").size() == table.groupby("setting").size().iloc[0]).all()
    assert clone.tracked()["naive"] == len(budgets)
    assert not clone.unfinished()


def test_an_unwritable_tracking_store_warns_and_loses_nothing(clone: Clone) -> None:
    before = clone.hashes()
    store = f"sqlite:///{clone.folder / 'no' / 'such' / 'folder' / 'mlflow.db'}"
    command = ("dvc", "repro", "--force", "--single-item", NAIVE)
    output = clone.run(*command, MLFLOW_TRACKING_URI=store)
    assert output.stages == [NAIVE]
    (warning,) = output.lines_with("WARNING: MLflow")
    assert "No result is lost" in warning
    assert "Traceback" not in output.text
    assert clone.hashes() == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("evaluate", "data/leaders/four_rooms/naive/curves.parquet", cut),
        ("evaluate", "data/leaders/four_rooms/exact/theta.npy", Path.unlink),
        ("followers@four_rooms", "data/environments/four_rooms/metadata.json", Path.unlink),
        ("figures", "data/evaluate/learning_curves.parquet", cut),
        ("gradients@four_rooms", "data/environments/four_rooms/best_theta.npz", cut),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.rpartition("/")[2],
)
def test_a_damaged_file_stops_its_reader_with_one_line(
    clone: Clone, stage: str, name: str, damage: Callable[[Path], None]
) -> None:
    damage(clone.folder / name)
    output = clone.run("dvc", "repro", "--force", "--single-item", stage, status=255)
    assert "Traceback" not in output.text
    (line,) = output.lines_with("error: ")
    assert line.startswith(f"error: {name}: ")
    assert len(line) > len(f"error: {name}: ")


def test_a_damaged_file_is_healed_from_the_cache(clone: Clone) -> None:
    cut(clone.folder / "data/leaders/four_rooms/naive/curves.parquet")
    before = clone.hashes()
    output = clone.run("dvc", "repro")
    assert NAIVE not in output.stages
    assert clone.hashes() != before
    assert clone.run("git", "status", "--porcelain").text == ""


def test_mlflow_shows_what_the_grid_lists_whatever_happened(clone: Clone) -> None:
    assert clone.tracked() == clone.num_runs()
    clone.run("dvc", "repro", "--force", "--single-item", NAIVE)
    assert clone.tracked() == clone.num_runs()
    # A seed less.
    clone.set("cells.four_rooms.naive.published_100.num_seeds", 1)
    before = clone.num_runs()
    assert clone.run("dvc", "repro", NAIVE).stages == [NAIVE]
    assert clone.tracked() == before
    assert before["naive"] == 3
    # A new store, filled from the files, pictures included.
    clone.store.unlink()
    shutil.rmtree(clone.folder / "mlruns")
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == before
    assert len(list((clone.folder / "mlruns").rglob("theta.npy"))) == sum(before.values())
    mapped = sum(clone.num_runs("four_rooms").values())
    assert len(list((clone.folder / "mlruns").rglob("*.png"))) == mapped
    assert not clone.unfinished()
    # Back again: revived or logged anew, and nobody is there twice.
    clone.put_back()
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == clone.num_runs()


def test_an_experiment_changes_parameters_and_is_listed(clone: Clone) -> None:
    key = "cells.four_rooms.naive.published_100.step_size"
    change = ("--name", "gentle", "--set-param", f"{key}=0.2")
    output = clone.run("dvc", "exp", "run", *change, "evaluate")
    assert output.stages == [NAIVE, "evaluate"]
    shown = clone.run("dvc", "exp", "show", "--csv", "--only-changed").text
    assert "gentle" in shown
    assert key in shown
    assert re.search(r"\b0\.2\b", shown)
    # The experiment's runs stand beside those of the workspace.
    clone.put_back()
    assert clone.tracked() == clone.num_runs()
    clone.run("dvc", "exp", "remove", "gentle")


def test_metrics_and_plots_are_shown(clone: Clone) -> None:
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json").text.splitlines()[-1])
    metrics = shown[""]["data"]["results/metrics.json"]["data"]["four_rooms"]
    assert set(clone.num_runs("four_rooms")) <= set(metrics)
    clone.run("dvc", "plots", "show")
    page = (clone.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "vega" in page
    assert "learning_curves" in page  # the figures are among them
