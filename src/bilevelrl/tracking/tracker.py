"""Keeps MLflow equal to the files under DVC, run by run, and never stops a training."""

import logging
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import ParamSpec, TypeVar

from bilevelrl.tracking.claims import Claims
from bilevelrl.tracking.finished_runs import Entry
from bilevelrl.tracking.store import Known, Store
from bilevelrl.tracking.workspace import tracking_uri, workspace

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Counts:
    """What became of the runs of a cell; `retired` counts those that are no longer in it."""

    logged: int = 0
    unchanged: int = 0
    revived: int = 0
    failed: int = 0
    retired: int = 0


class Tracker:
    """Puts runs into MLflow so that the filter `tags.current = 'true'` shows the latest of each.

    A run's *slot* says which run it is, its *run_key* what determined its result. Nothing is ever
    deleted: a run that no longer holds gets `current = 'false'`, and is revived if its key returns.
    The first failure is one line on stderr, and from then on every call does nothing.
    """

    def __init__(self, uri: str, workspace: str, commit: str, digest: str, folder: Path) -> None:
        """Remember where to write; the first call that needs MLflow imports and opens it.

        The commit is the one checked out, the digest that of params.yaml; in the folder processes
        of the same working tree tell each other what they show.
        """
        self.workspace = workspace
        self.failed = False
        self._tags = {"mlflow.source.git.commit": commit, "params_digest": digest}
        self._store = Store(uri, workspace)
        self._claims = Claims(folder, workspace)
        self._cells: dict[str, list[Known]] = {}

    @classmethod
    def here(cls, root: Path, profile: str = "") -> "Tracker":
        """The tracker of a working tree, described by its environment, Git and params.yaml.

        Of a profile's workspace, if one is named.
        """
        params = root / "params.yaml"
        digest = sha256(params.read_bytes()).hexdigest()[:12] if params.exists() else "none"
        folder = root / ".work" / "tracking"
        name = "/".join(filter(None, (workspace(root), profile)))
        return cls(tracking_uri(root), name, _commit(root), digest, folder)

    @contextmanager
    def showing(self, cell: str, wait: bool = True, later: bool = False) -> Iterator[bool]:
        """Show a cell while nobody else does; what fails or is killed inside is marked as pending.

        So is a cell of which only the files are written, to be shown `later`.

        Yields:
            Whether this process may show it, as it always may if it waits for others that do.
        """
        with self._claims.claim(cell, wait) as free:
            if not free and not wait:
                yield False
                return
            self._claims.mark(cell)
            self._cells.pop(cell, None)  # others may have written until now
            yield True
            if not (self.failed or later):
                self._claims.unmark(cell)
                self._tried(None, self._store.settle)

    def postpone(self, cell: str) -> None:
        """Mark a cell as pending, whose files are there."""
        self._claims.mark(cell)

    def pending(self) -> list[str]:
        """Cells whose last showing failed or was killed."""
        return self._claims.marked()

    def show(self, cell: str, entries: Sequence[Entry]) -> Counts:
        """Make these the current runs of a cell, and no others; log nothing that is there."""
        with self.showing(cell):
            outcomes = Counter(self._tried("failed", self._put, entry) for entry in entries)
            retired = self.retire(cell, {entry.slot for entry in entries})
        return Counts(**outcomes, retired=retired)

    def shows(self, cell: str, keys: Mapping[str, str]) -> bool:
        """Whether the current runs of a cell are those with these run keys, by slot."""
        known = self._tried([], self._known, cell)
        current = [run for run in known if run.current]
        return len(current) == len(keys) and {run.slot: run.run_key for run in current} == keys

    def retire(self, cell: str, keep: Collection[str] = ()) -> int:
        """Take the runs of a cell whose slots are not in `keep` out of the current ones."""

        def retire() -> int:
            left = [run for run in self._known(cell) if run.current and run.slot not in keep]
            for run in left:
                self._store.retire(run)
            return len(left)

        return self._tried(0, retire)

    def retire_derived(self, keep: Collection[str]) -> dict[str, int]:
        """Take the runs of workspaces below this one out of the current ones, unless in `keep`.

        Returns:
            How many runs were retired, by the name of their workspace.
        """

        def retire() -> dict[str, int]:
            derived = self._store.derived()
            left = {name: runs for name, runs in derived.items() if name not in keep}
            for run in chain.from_iterable(left.values()):
                self._store.retire(run)
            return {name: len(runs) for name, runs in left.items()}

        return self._tried({}, retire)

    def current_cells(self) -> set[str]:
        """The cells with current runs of this workspace."""
        return self._tried(set(), self._store.current_cells)

    def page(self, experiment: str) -> tuple[str, str]:
        """Where the UI shows current runs of an experiment, below its address; of which setting."""
        return self._tried(("", ""), self._store.page, experiment)

    def _put(self, entry: Entry) -> str:
        known = self._known(entry.cell)
        slot = [run for run in known if run.slot == entry.slot]
        same = [run for run in slot if run.run_key == entry.run_key]
        run = max(same, key=lambda run: run.current, default=None)
        outcome = "unchanged"
        if run is None:
            run = self._store.create(replace(entry, tags={**entry.tags, **self._tags}))
            outcome = "logged"
            known.append(run)
        elif not run.current:
            self._store.revive(run)
            outcome = "revived"
        for other in slot:  # only now: a crash may leave two current runs, but never none
            if other.current and other is not run:
                self._store.retire(other, superseded_by=run.run_id)
        return outcome

    def _known(self, cell: str) -> list[Known]:
        """The finished runs of a cell, asked for once while it is shown."""
        if cell not in self._cells:
            self._cells[cell] = self._store.finished(cell)
        return self._cells[cell]

    def _tried(self, otherwise: T, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What a call returns; at its failure one line, without passwords that a URI may hold."""
        if self.failed:
            return otherwise
        try:
            return call(*args, **named)
        except Exception as error:
            self.failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            line = (
                f"WARNING: MLflow at {self._store.uri} stays incomplete ({reason}). No result is "
                "lost; once it works, run `python -m pipeline.mlflow_sync` to fill it."
            )
            logging.getLogger(__name__).warning(re.sub(r"//[^/@\s]+@", "//***@", line))
            return otherwise


def _commit(root: Path) -> str:
    """The commit checked out; "none" without Git or outside of a repository."""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    return git.stdout.strip() if git.returncode == 0 else "none"
