"""Which process shows which cell at the moment, and which cells are still to be shown."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

PATIENCE = 60.0  # seconds, for somebody else who shows the same cell


class Claims:
    """Locks and marks of one working tree and workspace, as files that a kill cannot leave wrong.

    The operating system drops a lock with its process. A mark is set before anything is logged and
    removed when all of it is, so that whoever comes next finds what a failure or a kill left open.
    A folder that cannot be written means no locks and no marks, never an exception.
    """

    def __init__(self, folder: Path, workspace: str) -> None:
        self._locks = folder / "locks"
        self._marks = folder / "pending" / quote(workspace, safe="")
        self._held: set[str] = set()

    @contextmanager
    def claim(self, cell: str, wait: bool) -> Iterator[bool]:
        """Keep other processes from showing or retiring a cell; may be nested.

        Yields:
            Whether nobody else has it, after `PATIENCE` at most if it is to wait.
        """
        if cell in self._held:
            yield True
            return
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            file = (self._locks / quote(cell, safe="")).open("ab")
        except OSError:
            yield True
            return
        with file:
            free = wait_for_lock(file.fileno(), PATIENCE if wait else 0.0)
            self._held.add(cell)
            try:
                yield free
            finally:
                self._held.discard(cell)

    def mark(self, cell: str) -> None:
        """Remember that a cell is to be shown."""
        with suppress(OSError):
            self._marks.mkdir(parents=True, exist_ok=True)
            (self._marks / quote(cell, safe="")).touch()

    def unmark(self, cell: str) -> None:
        """It has been shown."""
        with suppress(OSError):
            (self._marks / quote(cell, safe="")).unlink(missing_ok=True)

    def marked(self) -> list[str]:
        """Cells that are still to be shown."""
        return sorted(unquote(path.name) for path in self._marks.glob("*"))


def wait_for_lock(descriptor: int, patience: float) -> bool:
    """Whether the lock was free within this time; a file system without locks has free ones."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)
        except OSError:
            return True
