"""Keeps MLflow equal to the files under DVC, run by run, and never stops a training."""

import logging
import re
import subprocess
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from bilevelrl.tracking.claims import Claims
from bilevelrl.tracking.finished_runs import Entry
from bilevelrl.tracking.store import Known, Store
from bilevelrl.tracking.workspace import tracking_uri, workspace


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

    def __init__(
        self,
        uri: str,
        workspace: str,
        commit: str,
        digest: str,
        folder: Path | None = None,
    ) -> None:
        """Remember where to write; the first call that needs MLflow imports and opens it.

        Args:
            uri: of the tracking store, see `tracking_uri`.
            workspace: whose runs these are, see `workspace`.
            commit: the Git commit checked out.
            digest: of params.yaml.
            folder: where processes of the same working tree tell each other what they show.
        """
        self.workspace = workspace
        self.failed = False
        self._tags = {"mlflow.source.git.commit": commit, "params_digest": digest}
        self._store = Store(uri, workspace)
        self._claims = Claims(folder, workspace)
        self._cells: dict[str, list[Known]] = {}

    @classmethod
    def here(cls, root: Path) -> "Tracker":
        """The tracker of a working tree, described by its environment, Git and params.yaml."""
        params = root / "params.yaml"
        digest = sha256(params.read_bytes()).hexdigest()[:12] if params.exists() else "none"
        folder = root / ".work" / "tracking"
        return cls(tracking_uri(root), workspace(root), _commit(root), digest, folder)

    @contextmanager
    def showing(self, cell: str, wait: bool = True) -> Iterator[bool]:
        """Show a cell while nobody else does; what fails or is killed inside is marked as pending.

        Args:
            cell: name, see `finished_runs.cell_name`.
            wait: for another process that shows it; else, leave it to that one.

        Yields:
            Whether this process may show it.
        """
        with self._claims.claim(cell, wait) as free:
            if not free and not wait:
                yield False
                return
            self._claims.mark(cell)
            self._cells.pop(cell, None)  # others may have written until now
            yield True
            if not self.failed:
                self._claims.unmark(cell)
                with self._failures_warned():
                    self._store.settle()

    def pending(self) -> list[str]:
        """Cells whose last showing failed or was killed."""
        return self._claims.marked()

    def show(self, cell: str, entries: Sequence[Entry]) -> Counts:
        """Make these the current runs of a cell, and no others; log nothing that is there."""
        with self.showing(cell):
            outcomes = Counter(map(self._outcome, entries))
            retired = self.retire(cell, {entry.slot for entry in entries})
        return Counts(**outcomes, retired=retired)

    def retire(self, cell: str, keep: Collection[str] = ()) -> int:
        """Take the runs of a cell whose slots are not in `keep` out of the current ones."""
        retired = 0
        if self.failed:
            return retired
        with self._failures_warned():
            for run in self._known(cell):
                if run.current and run.slot not in keep:
                    self._store.retire(run)
                    retired += 1
        return retired

    def retire_derived(self, keep: Collection[str]) -> dict[str, int]:
        """Take the runs of workspaces below this one out of the current ones, but for some.

        Args:
            keep: names of those that stay, as `derived.derived_names` has them.

        Returns:
            How many runs were retired, by name.
        """
        retired: dict[str, int] = {}
        if self.failed:
            return retired
        with self._failures_warned():
            for name, runs in self._store.derived().items():
                if name not in keep:
                    for run in runs:
                        self._store.retire_id(run)
                    retired[name] = len(runs)
        return retired

    def current_cells(self) -> set[str]:
        """The cells with current runs."""
        if self.failed:
            return set()
        with self._failures_warned():
            return self._store.current_cells()
        return set()

    def experiments(self) -> list[str]:
        """The experiments with current runs of this workspace."""
        with self._failures_warned():
            return self._store.experiments()
        return []

    def page(self, experiment: str) -> tuple[str, str]:
        """Where the UI shows current runs of an experiment, below its address; of which setting."""
        with self._failures_warned():
            return self._store.page(experiment)
        return "", ""

    def _outcome(self, entry: Entry) -> str:
        """What became of a run: the name of a field of `Counts`."""
        if not self.failed:
            with self._failures_warned():
                return self._put(entry)
        return "failed"

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


def _commit(root: Path) -> str:
    """The commit checked out; "none" without Git or outside of a repository."""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    return git.stdout.strip() if git.returncode == 0 else "none"
