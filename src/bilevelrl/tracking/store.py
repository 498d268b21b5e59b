"""What the tracker asks of MLflow, through its client."""

import json
import math
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bilevelrl.tracking.client import database, open_client, settle
from bilevelrl.tracking.finished_runs import Entry, experiment_of
from bilevelrl.tracking.reading import ClientReader, Reader, Shown, SqliteReader

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

T = TypeVar("T")

BATCH_METRICS, BATCH_PARAMS = 1000, 100  # MLflow refuses more
LONGEST_VALUE = 6000  # of a parameter, as above
CURRENT = "tags.current = 'true'"
ILLEGAL = re.compile(r"[^\w\-./: ]")  # in the name of a parameter or metric
#: Parameters by which runs are grouped that have the parameter in front.
GROUPS = {"setting": ("estimator", "variant"), "follower": ("problem", "follower", "temperature")}
#: All parameters that decide how runs are shown.
GROUPING = tuple(sorted({*GROUPS, *GROUPS["setting"], *GROUPS["follower"]}))


def groups(params: Sequence[Mapping[str, str]]) -> dict[str, object] | None:
    """Groups of runs with these parameters as the UI keeps them, one mean each.

    None if they have none.

    A parameter that tells no two of the groups before it apart only makes their names long.
    """
    kind = next((name for name in GROUPS if any(name in each for each in params)), None)
    if kind is None:
        return None
    names: list[str] = []
    for name in GROUPS[kind]:
        before, after = (
            len({tuple(each.get(key) for key in keys) for each in params})
            for keys in (names, [*names, name])
        )
        if not names or after > before:
            names.append(name)
    told = [{"mode": "param", "groupByData": name} for name in names]
    return {"aggregateFunction": "average", "groupByKeys": told}


@dataclass(eq=False)
class Known:
    """One finished run that the store has."""

    run_id: str
    slot: str
    run_key: str
    current: bool
    superseded: bool = False

    @classmethod
    def of(cls, run: Shown) -> "Known":
        """What is known of a run by its tags."""
        tags = run.tags
        current, superseded = tags["current"] == "true", "superseded_by" in tags
        return cls(run.run_id, tags["slot"], tags["run_key"], current, superseded)


class Store:
    """One MLflow store as seen from one workspace; opened by the first call."""

    def __init__(self, uri: str, workspace: str) -> None:
        self.uri = uri
        self.workspace = workspace
        self._experiments: dict[str, str] = {}

    def finished(self, cell: str) -> list[Known]:
        """The finished runs of a cell, current or not; runs left open by a crash are closed.

        The caller has claimed the cell, so that an open run belongs to nobody.
        """
        number = self._known_experiment(experiment_of(cell))
        if number is None:
            return []
        tags = {"cell": cell, "workspace": self.workspace}
        runs = self._read(lambda reader: reader.runs(number, tags))
        for run in runs:
            if run.status == "RUNNING":
                self._client.set_tag(run.run_id, "current", "false")
                self._client.set_terminated(run.run_id, "KILLED")
        return [Known.of(run) for run in runs if run.status == "FINISHED"]

    def page(self, experiment: str) -> tuple[str, str]:
        """Where the UI shows the current runs of an experiment as charts, and of which setting.

        How they are grouped cannot be said in a link, only in a view that is shared by its key.
        The parameters must stand behind the hash, or the UI stays in its GenAI mode.

        Returns:
            The page, below the UI's address, and the setting that most runs have, which it is
            narrowed down to: a mean over settings would mean nothing. Empty if they have none.
        """
        number, condition = self._experiment(experiment), f"{CURRENT} and {self._own()}"
        runs = self._current(number, GROUPING)
        counts = Counter(filter(None, (run.params.get("setting") for run in runs)))
        setting = max(sorted(counts), key=lambda each: counts[each], default="")
        if setting:
            condition += f" and params.setting = '{setting}'"
            runs = [run for run in runs if run.params.get("setting") == setting]
        view = {
            "searchFilter": condition,
            "orderByKey": "params.`seed`",  # the UI loads 100 runs: the same seeds of everybody
            "orderByAsc": True,
            "groupBy": groups([run.params for run in runs]),
            "runsHiddenMode": "SHOW_ALL",
        }
        key = sha256(self.workspace.encode()).hexdigest()[:16]
        self._tag(experiment, f"mlflow.sharedViewState.{key}", json.dumps(view))
        query = f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={key}"
        return f"#/experiments/{number}/runs?{query}", setting

    def current_cells(self) -> set[str]:
        """The cells, of any experiment, that have current runs."""
        return {run.tags["cell"] for run in self._current(None)}

    def derived(self) -> dict[str, list[Known]]:
        """The current runs of every workspace below this one, by its name there."""
        prefix = f"{self.workspace}/"
        found: dict[str, list[Known]] = {}
        for run in self._read(lambda reader: reader.runs(None, {"current": "true"})):
            if (name := run.tags.get("workspace", "")).startswith(prefix):
                found.setdefault(name.removeprefix(prefix), []).append(Known.of(run))
        return found

    def settle(self) -> None:
        """Leave the database complete in its one file, if it was opened."""
        if "_client" in vars(self):
            settle(self.uri)

    def create(self, entry: Entry) -> Known:
        """Log a run; it becomes current with its last tag, so that a crash shows no half run."""
        own = {"workspace": self.workspace, "cell": entry.cell, "slot": entry.slot}
        info = self._client.create_run(
            self._experiment(experiment_of(entry.cell)),
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

    def _own(self) -> str:
        """The condition of runs of this workspace."""
        return f"tags.workspace = '{self.workspace}'"

    def _current(self, experiment: str | None, params: Sequence[str] = ()) -> list[Shown]:
        """The current runs of this workspace, in an experiment or, for None, in any."""
        tags = {"current": "true", "workspace": self.workspace}
        return self._read(lambda reader: reader.runs(experiment, tags, params))

    def _read(self, ask: Callable[[Reader], T]) -> T:
        """The answer of the store; MLflow says what is wrong with a file that cannot be read."""
        path = database(self.uri)
        if path is not None and path.is_file():
            with suppress(sqlite3.Error):
                return ask(SqliteReader(path))
        return ask(ClientReader(self._client))

    def _tag(self, experiment: str, key: str, value: str) -> None:
        """Tag an experiment, unless it has the tag."""
        found = self._read(lambda reader: reader.experiment(experiment))
        if found is None or found.tags.get(key) != value:
            self._client.set_experiment_tag(self._experiment(experiment), key, value)

    def _known_experiment(self, name: str) -> str | None:
        """Identifier of an experiment, restored if need be; None if there is none."""
        if name not in self._experiments:
            found = self._read(lambda reader: reader.experiment(name))
            if found is None:
                return None
            if found.deleted:
                self._client.restore_experiment(found.number)
            self._experiments[name] = found.number
        return self._experiments[name]

    def _experiment(self, name: str) -> str:
        """Identifier of an experiment, created or restored if need be."""
        number = self._known_experiment(name) or self._create_experiment(name).experiment_id
        self._experiments[name] = number
        return number

    def _create_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        kind = {"mlflow.experimentKind": "custom_model_development"}
        # Beside the database: MLflow would choose the folder in which the process was started.
        path = database(self.uri)  # None: a server decides
        artifacts = (path.parent / "mlruns" / name).as_uri() if path else None
        try:
            created = self._client.create_experiment(name, artifacts, kind)
        except MlflowException:
            found = self._client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
            return found
        return self._client.get_experiment(created)

    @cached_property
    def _client(self) -> "MlflowClient":
        return open_client(self.uri)
