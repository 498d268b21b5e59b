"""Databases that others read, that are locked, and servers that accept and never answer."""

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bilevelrl.tracking import client
from bilevelrl.tracking.sync import sync_cell
from bilevelrl.tracking.tracker import Counts
from tests.tracking.stores import current_seeds, make_cell, make_tracker

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@contextmanager
def read(path: Path) -> Iterator[None]:
    """Somebody in the middle of reading the database."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as database:
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM runs").fetchone()
        yield
        database.execute("COMMIT")


def test_a_reader_does_not_keep_a_stage_waiting(uri: str, tmp_path: Path) -> None:
    sync_cell(make_tracker(uri), make_cell([0]))
    with read(tmp_path / "mlflow.db"):
        start = time.monotonic()
        assert sync_cell(make_tracker(uri), make_cell([0, 1, 2])) == Counts(logged=2, unchanged=1)
        assert time.monotonic() - start < 15  # MLflow would give up after 20
    assert current_seeds(uri) == [0, 1, 2]


def test_a_reader_of_a_database_of_the_old_kind_is_waited_for(uri: str, tmp_path: Path) -> None:
    reading = threading.Event()

    def reader() -> None:
        with read(tmp_path / "mlflow.db"):
            reading.set()
            time.sleep(3)

    thread = threading.Thread(target=reader)
    thread.start()
    assert reading.wait(10)
    assert sync_cell(make_tracker(uri), make_cell([0])) == Counts(logged=1)
    thread.join()
    sync_cell(make_tracker(uri), make_cell([0, 1]))  # writes, so that the file is opened for it
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("failures", [2, 1000])
def test_a_locked_database_is_tried_again_until_patience_ends(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Locked:
        calls = 0

        def set_tag(self, key: str) -> str:
            self.calls += 1
            if self.calls <= failures:
                raise RuntimeError("(sqlite3.OperationalError) database is locked")
            return key

    monkeypatch.setattr(client, "PATIENCE", 0.9)
    locked = Locked()
    patient = client._Patient(locked)  # type: ignore[arg-type]
    if failures == 2:
        assert patient.set_tag("key") == "key"
        assert locked.calls == 3
        return
    with pytest.raises(RuntimeError, match="locked"):
        patient.set_tag("key")
    assert 3 <= locked.calls <= 6
    calls = locked.calls
    with pytest.raises(RuntimeError, match="locked"):
        patient.set_tag("key")  # one patience for all calls
    assert locked.calls == calls + 1


def test_what_was_written_stands_in_the_one_file(uri: str, tmp_path: Path) -> None:
    sync_cell(make_tracker(uri), make_cell([0, 1]))
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "mlflow.db").read_bytes())
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_a_database_that_was_deleted_does_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.execute("CREATE TABLE old (x)")
        old.commit()
        log = (tmp_path / "mlflow.db-wal").read_bytes()
    path.unlink()
    (tmp_path / "mlflow.db-wal").write_bytes(log)  # a process was killed, then a user deleted one
    uri = f"sqlite:///{path}"
    assert sync_cell(make_tracker(uri), make_cell([0])) == Counts(logged=1)
    with closing(sqlite3.connect(path)) as database:
        assert not database.execute("SELECT name FROM sqlite_master WHERE name = 'old'").fetchall()


@contextmanager
def listening() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        accepted = []

        def accept() -> None:
            try:
                while True:
                    accepted.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in accepted:
            connection.close()


def test_a_server_that_never_answers_costs_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in client.REQUESTS:
        monkeypatch.delenv(name, raising=False)
    with listening() as port:
        tracker = make_tracker(f"http://127.0.0.1:{port}")
        start = time.monotonic()
        assert sync_cell(tracker, make_cell([0, 1, 2])) == Counts(failed=3)
        assert tracker.current_cells() == set()
        assert time.monotonic() - start < 10
    lines = [each.getMessage() for each in caplog.records if each.name.startswith("bilevelrl")]
    assert len(lines) == 1
    assert f"http://127.0.0.1:{port}" in lines[0]
