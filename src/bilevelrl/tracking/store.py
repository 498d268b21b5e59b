"""What the tracker asks of MLflow, through its client; the only module that imports mlflow."""

import logging
import math
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bilevelrl.tracking.finished_runs import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

SQLITE = "sqlite:///"
PAGE = 1000  # runs per search
BATCH_METRICS, BATCH_PARAMS = 1000, 100  # MLflow refuses more
LONGEST_VALUE = 6000  # of a parameter, as above
ILLEGAL = re.compile(r"[^\w\-./: ]")  # in the name of a parameter or metric


@dataclass(eq=False)
class Known:
    """One finished run that the store has."""

    run_id: str
    slot: str
    run_key: str
    current: bool
    superseded: bool = False


class Store:
    """One MLflow store as seen from one workspace; opened by the first call."""

    def __init__(self, uri: str, workspace: str) -> None:
        """Remember where it is."""
        self.uri = uri
        self.workspace = workspace
        self._experiments: dict[str, str] = {}

    def finished(self, experiment: str, cell: str) -> list[Known]:
        """The finished runs of a cell, current or not; runs left open by a crash are closed.

        One process at a time writes a cell, so that an open run belongs to nobody.
        """
        runs = self._search([self._experiment(experiment)], f"tags.cell = '{cell}'")
        for run in runs:
            if run.info.status == "RUNNING":
                self._client.set_tag(run.info.run_id, "current", "false")
                self._client.set_terminated(run.info.run_id, "KILLED")
        return [
            Known(
                run.info.run_id,
                run.data.tags["slot"],
                run.data.tags["run_key"],
                run.data.tags["current"] == "true",
                "superseded_by" in run.data.tags,
            )
            for run in runs
            if run.info.status == "FINISHED"
        ]

    def page(self, experiment: str) -> str:
        """Where the UI shows the current runs of an experiment, below its address.

        The parameter must stand behind the hash, or the UI stays in its GenAI mode.
        """
        condition = quote(f"tags.current = 'true' and tags.workspace = '{self.workspace}'", "'")
        query = f"workflowType=machine_learning&searchFilter={condition}"
        return f"#/experiments/{self._experiment(experiment)}/runs?{query}"

    def current_cells(self) -> set[str]:
        """The cells, of any experiment, that have current runs."""
        experiments = [found.experiment_id for found in self._client.search_experiments()]
        runs = self._search(experiments, "tags.current = 'true'")
        return {run.data.tags["cell"] for run in runs}

    def create(self, entry: Entry) -> Known:
        """Log a run; it becomes current with its last tag, so that a crash shows no half run."""
        own = {"workspace": self.workspace, "cell": entry.cell, "slot": entry.slot}
        info = self._client.create_run(
            self._experiment(entry.experiment),
            run_name=entry.name,
            tags={**entry.tags, **own, "run_key": entry.run_key, "current": "false"},
        ).info
        self._log_numbers(info.run_id, entry)
        if entry.write_artifacts:
            with tempfile.TemporaryDirectory() as folder:
                entry.write_artifacts(Path(folder))
                self._client.log_artifacts(info.run_id, folder)
        self._client.set_tag(info.run_id, "current", "true")
        self._client.set_terminated(info.run_id)
        return Known(info.run_id, entry.slot, entry.run_key, current=True)

    def revive(self, run: Known) -> None:
        """Make a retired run current again."""
        self._client.set_tag(run.run_id, "current", "true")
        if run.superseded:
            self._client.delete_tag(run.run_id, "superseded_by")
        run.current, run.superseded = True, False

    def retire(self, run: Known, superseded_by: str = "") -> None:
        """Take a run out of the current ones, for the run given or because its slot is gone."""
        self._client.set_tag(run.run_id, "current", "false")
        if superseded_by:
            self._client.set_tag(run.run_id, "superseded_by", superseded_by)
        run.current, run.superseded = False, bool(superseded_by)

    def _log_numbers(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        params = [
            Param(ILLEGAL.sub("_", key), str(value)[:LONGEST_VALUE])
            for key, value in entry.params.items()
        ]
        metrics = [
            Metric(ILLEGAL.sub("_", key), value, now, step)
            for key, value, step in entry.points
            if not math.isinf(value)  # MLflow would draw 1.8e308; it keeps NaN as it is
        ]
        for start in range(0, len(params), BATCH_PARAMS):
            self._client.log_batch(run_id, params=params[start : start + BATCH_PARAMS])
        for start in range(0, len(metrics), BATCH_METRICS):
            self._client.log_batch(run_id, metrics=metrics[start : start + BATCH_METRICS])

    def _search(self, experiments: Sequence[str], condition: str) -> "list[Run]":
        """All runs of this workspace that meet a condition, page by page."""
        condition = f"{condition} and tags.workspace = '{self.workspace}'"
        runs: list[Run] = []
        token: str | None = None
        while token is None or token:
            page = self._client.search_runs(
                list(experiments), condition, max_results=PAGE, page_token=token
            )
            runs += page
            token = page.token or ""
        return runs

    def _experiment(self, name: str) -> str:
        """Identifier of an experiment, created or restored if need be."""
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name) or self._create_experiment(name)
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _create_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        kind = {"mlflow.experimentKind": "custom_model_development"}
        try:
            created = self._client.create_experiment(name, self._artifacts(name), kind)
        except MlflowException:
            found = self._client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
            return found
        return self._client.get_experiment(created)

    def _artifacts(self, experiment: str) -> str | None:
        """Beside the database: MLflow would choose the folder in which the process was started."""
        if not self.uri.startswith(SQLITE):
            return None  # a server decides
        return (self._database.parent / "mlruns" / experiment).as_uri()

    @property
    def _database(self) -> Path:
        return Path(self.uri.removeprefix(SQLITE).partition("?")[0]).absolute()

    @cached_property
    def _client(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # left alone, MLflow spends minutes on a store that does not answer
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        if self.uri.startswith(SQLITE):
            with closing(sqlite3.connect(self._database, timeout=20)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("CREATE TABLE can_be_written (x)")  # rolled back
        from mlflow import MlflowClient

        # every failure reaches the caller as an exception; these are tracebacks on top of it
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        return MlflowClient(self.uri)
