"""Which runs a store has: an SQLite file is asked itself, any other store through MLflow's client.

MLflow's client reads every number of a run with it, a hundred times as long for a whole grid, and
takes seconds to import. A test asks both and compares.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 200  # runs per search: an answer in less than a second
WAIT = 5.0  # seconds, for somebody who has locked the whole file


@dataclass(frozen=True)
class Shown:
    """A run that is not deleted, of an experiment that is not either."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]


@dataclass(frozen=True)
class Found:
    """An experiment, deleted or not."""

    number: str
    deleted: bool
    tags: Mapping[str, str]


class Reader(Protocol):
    """What is asked of a store."""

    def experiment(self, name: str) -> Found | None:
        """The experiment of a name, None if there is none."""

    def runs(
        self, experiment: str | None, tags: Mapping[str, str], params: Sequence[str] = ()
    ) -> list[Shown]:
        """Runs of an experiment, by its number, or of all, that have all these tags.

        Of their parameters at least those with these names.
        """


class ClientReader:
    """Any store, through MLflow's client."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def experiment(self, name: str) -> Found | None:
        """See `Reader`."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return None
        return Found(found.experiment_id, found.lifecycle_stage == "deleted", found.tags)

    def runs(
        self, experiment: str | None, tags: Mapping[str, str], params: Sequence[str] = ()
    ) -> list[Shown]:
        """See `Reader`."""
        ids = [experiment] if experiment else []
        ids = ids or [found.experiment_id for found in self._client.search_experiments()]
        condition = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
        runs = page = self._client.search_runs(ids, condition, max_results=PAGE)
        while page.token:
            page = self._client.search_runs(ids, condition, max_results=PAGE, page_token=page.token)
            runs += page
        return [
            Shown(run.info.run_id, run.info.status, run.data.tags, run.data.params) for run in runs
        ]


class SqliteReader:
    """The file of an SQLite store, with the tables of MLflow 3.

    Raises:
        sqlite3.Error: from all its methods, if it cannot be read or has other tables.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def experiment(self, name: str) -> Found | None:
        """See `Reader`."""
        with self._asking() as ask:
            query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
            for number, stage in ask(query, (name,)):
                query = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
                return Found(str(number), stage == "deleted", dict(ask(query, (number,))))
        return None

    def runs(
        self, experiment: str | None, tags: Mapping[str, str], params: Sequence[str] = ()
    ) -> list[Shown]:
        """See `Reader`."""
        chosen, values = _chosen(experiment, tags)
        own = f"WITH chosen AS ({chosen}) SELECT run_uuid, key, value FROM"
        named = f"JOIN chosen USING (run_uuid) WHERE key IN ({', '.join('?' * len(params))})"
        all_tags: dict[str, dict[str, str]] = defaultdict(dict)
        all_params: dict[str, dict[str, str]] = defaultdict(dict)
        with self._asking() as ask:
            found = ask(chosen, values).fetchall()
            for run, key, value in ask(f"{own} tags JOIN chosen USING (run_uuid)", values):
                all_tags[run][key] = value
            for run, key, value in ask(f"{own} params {named}", (*values, *params)):
                all_params[run][key] = value
        return [Shown(run, status, all_tags[run], all_params[run]) for run, status in found]

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        # `rw` makes no file where there is none, and nothing here writes.
        uri = f"{self._path.as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=WAIT)) as connection:
            connection.execute("BEGIN")  # all answers are of one moment
            yield connection.execute


def _chosen(experiment: str | None, tags: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The query of runs that have these tags, and its values."""
    query = (
        "SELECT run_uuid, status FROM runs JOIN experiments USING (experiment_id)"
        " WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'"
    )
    values: tuple[str, ...] = ()
    if experiment is not None:
        query, values = f"{query} AND experiment_id = ?", (experiment,)
    for key, value in tags.items():
        query += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
        values += (key, value)
    return query, values
