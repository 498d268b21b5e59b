"""Clones of the project with the numbers of the smoke profile, for tests that run `dvc` in them."""

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.params import read_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from bilevelrl.tracking.workspace import clone_name
from pipeline.profile import merge

ROOT = Path(__file__).parents[2]
TIMEOUT = 1800.0  # seconds, for a whole pipeline on a busy machine: it took 840 beside other work
NAIVE = "leaders@four_rooms-naive"
#: Of all problems together.
AFTER = ["evaluate", "comparison"]
#: Which no problem and no cell concerns.
OF_GAMES = "reward_structures"


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
    """A copy of the project's files in a Git and DVC repository of its own.

    The package that runs is the clone's own; clones with equal sources share compiled kernels.
    """

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
        content = read_mapping(path)
        *parents, last = key.split(".")
        block = content
        for part in parents:
            block = block[part]
        if value is ...:
            del block[last]
        else:
            block[last] = value
        write_atomically(path, mapping_text(content).encode())

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

    def num_networks(self) -> int:
        """Settings x seeds whose leader is a network where others set prices."""
        params = read_params(self.folder / "params.yaml")
        settings = (
            setting
            for item in params.grid.values()
            for setting in params.settings(item.problem, item.estimator)
        )
        return sum(len(s.seeds) for s in settings if getattr(s, "leader", "") == "network")

    @property
    def problems(self) -> dict[str, str]:
        """Kind of every problem in params.yaml's grid."""
        params = read_params(self.folder / "params.yaml")
        return {name: params.block(name).kind for name in params.grid_problems}

    def stages(self) -> list[str]:
        """All stages of the pipeline."""
        kinds = ("environments", "figures", "followers", "gradients")
        params = read_params(self.folder / "params.yaml")
        cells = [f"leaders@{name}" for name in params.grid]
        known = {f"{kind}@{problem}" for kind in kinds for problem in params.grid_problems}
        return sorted(["grid", OF_GAMES, *known, *cells, *AFTER])

    def tracked(self) -> Counter[str]:
        """Current runs of the workspace in MLflow, by estimator."""
        own = clone_name(self.folder)
        return Counter(
            estimator
            for (estimator,) in self.ask_store(
                "SELECT params.value FROM params"
                " JOIN tags AS current ON current.run_uuid = params.run_uuid"
                " JOIN tags AS workspace ON workspace.run_uuid = params.run_uuid"
                " WHERE params.key = 'estimator'"
                " AND current.key = 'current' AND current.value = 'true'"
                f" AND workspace.key = 'workspace' AND workspace.value = '{own}'"
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
        # The default grid's lock tells nothing of these numbers, and DVC reads it all the time.
        if (ROOT / name).is_file() and Path(name).name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    profile = read_mapping(folder / "profiles" / "smoke.yaml")
    params = read_mapping(folder / "params.yaml")
    write_atomically(folder / "params.yaml", mapping_text(merge(params, profile)).encode())
    clone.run("git", "init", "--quiet", ".")
    if not (folder / ".dvc" / "config").exists():
        clone.run("dvc", "init", "--quiet")
    clone.commit()
    return clone


def copy_of(clone: Clone, folder: Path) -> Clone:
    """The same state in another folder, with an MLflow store of its own, yet empty."""
    ignored = shutil.ignore_patterns("mlflow.db", "mlruns")
    shutil.copytree(clone.folder, folder, ignore=ignored, symlinks=True)
    return Clone(folder)
