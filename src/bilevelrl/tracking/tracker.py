"""Keeps MLflow equal to the files under DVC, run by run, and never stops a training."""

import logging
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bilevelrl.tracking.finished_runs import (
    FOLLOWERS,
    Attach,
    Entry,
    FinishedRun,
    follower_entry,
    run_entry,
    summary_entry,
)
from bilevelrl.tracking.store import SQLITE, Known, Store

Outcome = Literal["logged", "unchanged", "revived", "failed"]


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db in DVC_ROOT, else mlflow.db in `root`.

    Absolute, because `dvc exp run --temp` works in a folder that is thrown away.
    """
    folder = Path(os.environ.get("DVC_ROOT") or root).absolute()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{folder / 'mlflow.db'}"


def workspace() -> str:
    """Whose runs these are: a DVC experiment must not retire those of the working tree."""
    names = (os.environ.get(key) for key in ("BILEVELRL_WORKSPACE", "DVC_EXP_NAME"))
    return next(filter(None, names), "workspace")


class Tracker:
    """Puts runs into MLflow so that the filter `tags.current = 'true'` shows the latest of each.

    A run's *slot* says which run it is, its *run_key* what determined its result. Nothing is ever
    deleted: a run that no longer holds gets `current = 'false'`, and is revived if its key returns.
    The first failure is one line on stderr, and from then on every call does nothing.
    """

    def __init__(self, uri: str, workspace: str, stage: str, commit: str, digest: str) -> None:
        """Remember where to write; the first call that needs MLflow imports and opens it.

        Args:
            uri: of the tracking store, see `tracking_uri`.
            workspace: whose runs these are, see `workspace`.
            stage: the DVC stage that computes them, without "@cell".
            commit: the Git commit checked out.
            digest: of params.yaml.
        """
        self.workspace = workspace
        self.stage = stage
        self.failed = False
        self._tags = {"mlflow.source.git.commit": commit, "params_digest": digest}
        self._store = Store(uri, workspace)
        self._cells: dict[tuple[str, str], list[Known]] = {}

    @classmethod
    def here(cls, root: Path, stage: str) -> "Tracker":
        """The tracker of a working tree, described by its environment, Git and params.yaml."""
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        git = subprocess.run(command, capture_output=True, text=True, check=False)
        params = root / "params.yaml"
        digest = sha256(params.read_bytes()).hexdigest()[:12] if params.exists() else "none"
        return cls(tracking_uri(root), workspace(), stage, git.stdout.strip() or "none", digest)

    def put(self, run: FinishedRun, attach: Attach | None = None) -> Outcome:
        """Show a run of a cell; log nothing if it is there already.

        Args:
            run: the run.
            attach: called with the run and a folder if the run is logged; the files that it writes
                there become artifacts.
        """
        with self._failures_warned():
            return self._put(run_entry(self.workspace, self.stage, run, attach))
        return "failed"

    def put_follower(self, curve: pd.DataFrame) -> tuple[Outcome, str]:
        """Show the learning curve of one follower; returns its slot too."""
        entry = follower_entry(self.workspace, curve)
        with self._failures_warned():
            tags = {**entry.tags, "dvc_stage": self.stage}
            return self._put(replace(entry, tags=tags)), entry.slot
        return "failed", entry.slot

    def put_summary(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> Outcome:
        """Show one setting of a tuning sweep, called `name`, in an experiment of its own."""
        with self._failures_warned():
            tags = {"dvc_stage": self.stage, **tags}
            return self._put(summary_entry(self.workspace, experiment, name, params, metrics, tags))
        return "failed"

    def retire(self, problem: str, estimator: str, keep: Collection[str]) -> int:
        """Take the runs of a cell whose slots are not in `keep` out of the current ones."""
        return self._retire(problem, f"{problem}/{estimator}", keep)

    def retire_followers(self, problem: str, keep: Collection[str]) -> int:
        """The same for the followers of a problem that learn by themselves, by slot."""
        if self.failed:
            return 0
        with self._failures_warned():
            known, own = self._known(FOLLOWERS, FOLLOWERS), f"{self.workspace}/{problem}/"
            others = {run.slot for run in known if not run.slot.startswith(own)}
            return self._retire(FOLLOWERS, FOLLOWERS, {*keep, *others})
        return 0

    def retire_summaries(self, experiment: str, keep: Collection[str]) -> int:
        """The same for the settings of a sweep, by name."""
        return self._retire(experiment, experiment, {f"{self.workspace}/{name}" for name in keep})

    def current_cells(self) -> set[tuple[str, str]]:
        """Problem and estimator of every cell with current runs; sweeps are none."""
        if self.failed:
            return set()
        with self._failures_warned():
            cells = {cell.partition("/") for cell in self._store.current_cells()}
            return {(problem, estimator) for problem, _, estimator in cells if estimator}
        return set()

    def page(self, experiment: str) -> str:
        """Where the UI shows the current runs of an experiment, below its address."""
        with self._failures_warned():
            return self._store.page(experiment)
        return ""

    def _put(self, entry: Entry) -> Outcome:
        if self.failed:
            return "failed"
        known = self._known(entry.experiment, entry.cell)
        slot = [run for run in known if run.slot == entry.slot]
        same = [run for run in slot if run.run_key == entry.run_key]
        run = max(same, key=lambda run: run.current, default=None)
        outcome: Outcome = "unchanged"
        if run is None:
            run, outcome = (
                self._store.create(replace(entry, tags={**entry.tags, **self._tags})),
                "logged",
            )
            known.append(run)
        elif not run.current:
            self._store.revive(run)
            outcome = "revived"
        for other in slot:  # only now: a crash may leave two current runs, but never none
            if other.current and other is not run:
                self._store.retire(other, superseded_by=run.run_id)
        return outcome

    def _retire(self, experiment: str, cell: str, keep: Collection[str]) -> int:
        retired = 0
        if self.failed:
            return retired
        with self._failures_warned():
            for run in self._known(experiment, cell):
                if run.current and run.slot not in keep:
                    self._store.retire(run)
                    retired += 1
        return retired

    def _known(self, experiment: str, cell: str) -> list[Known]:
        """The finished runs of a cell, asked for once: there is no other writer."""
        if (experiment, cell) not in self._cells:
            self._cells[experiment, cell] = self._store.finished(experiment, cell)
        return self._cells[experiment, cell]

    @contextmanager
    def _failures_warned(self) -> Iterator[None]:
        """Turn an exception into one line on stderr, without the password that a URI may hold."""
        try:
            yield
        except Exception as error:
            self.failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            line = (
                f"WARNING: MLflow at {self._store.uri} stays incomplete ({reason}). No result is "
                "lost; once it works, run `python -m pipeline.mlflow_sync` to fill it."
            )
            logging.getLogger(__name__).warning(re.sub(r"//[^/@\s]+@", "//***@", line))
