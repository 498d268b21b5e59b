"""Opens MLflow's client so that no store that hangs or is locked keeps a stage from going on."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bilevelrl.tracking.claims import wait_for_lock
from bilevelrl.tracking.workspace import ENCODED_SQLITE, SQLITE

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Seconds that a store may be locked in all; MLflow itself waits up to 20 in a call.
PATIENCE = 45.0
#: MLflow would wait for two minutes, seven times, and for as long as an overloaded server asks.
REQUESTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
FIRST_REQUEST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def open_client(uri: str) -> "MlflowClient":
    """A client of a store that answers; variables that the user has set count.

    Raises:
        Exception: of any kind, if the store does not answer or cannot be written.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # every failure reaches the caller as an exception; these are tracebacks on top of it
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if path := database(uri):
        with _alone(path.parent):
            if not path.exists():
                for leftover in ("-wal", "-shm"):  # of a database that was deleted
                    path.with_name(path.name + leftover).unlink(missing_ok=True)
            with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE can_be_written (x)")
                connection.rollback()
            client = _mlflow_client(uri)
            client.search_experiments(max_results=1)
        _let_readers_read(path)
    else:
        client = _mlflow_client(uri)
        with _set_by_default(FIRST_REQUEST):
            client.search_experiments(max_results=1)
        for name, value in REQUESTS.items():
            os.environ.setdefault(name, value)
    return cast("MlflowClient", _Patient(client))


def _mlflow_client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient  # seconds, which a file that cannot be written saves

    return MlflowClient(uri)


def database(uri: str) -> Path | None:
    """The file of an SQLite store, None for any other."""
    if not uri.startswith((SQLITE, ENCODED_SQLITE)):
        return None
    from sqlalchemy import make_url

    return Path(make_url(uri).database or "").absolute()


def settle(uri: str) -> None:
    """Move what was written into the file itself, so that it may be copied or moved alone."""
    if (path := database(uri)) and path.exists():
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _let_readers_read(path: Path) -> None:
    """Writers and readers do not wait for each other in a write-ahead log; the file remembers."""
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        pass  # somebody reads it the old way: the next stage tries again


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that both create a database would stop each other half-way."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(descriptor, PATIENCE)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _set_by_default(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that nobody has set, for a while."""
    own = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            del os.environ[name]


class _Patient:
    """A client whose calls are repeated while the database is locked; all of them may be."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._left = PATIENCE

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            while True:
                start = time.monotonic()
                try:
                    return method(*arguments, **named)
                except Exception as error:
                    if "database is locked" not in str(error) or self._left <= 0:
                        raise
                    time.sleep(0.2)
                    self._left -= time.monotonic() - start

        return call
