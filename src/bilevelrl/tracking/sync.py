"""Makes MLflow show what the stages have written; safe to repeat, also while a stage writes."""

from contextlib import suppress
from pathlib import Path

import pandas as pd

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.records import LEARNING_COLUMNS, Cell, RunIdentity
from bilevelrl.runs.table_files import CorruptRecord, read_csv, read_json
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.tracking.finished_runs import (
    FOLLOWERS,
    SWEEP,
    candidate_entry,
    cell_entries,
    cell_name,
    experiment_of,
    follower_entry,
    slot,
    sweep_cell,
)
from bilevelrl.tracking.tracker import Counts, Tracker


def sync_cell(tracker: Tracker, cell: Cell) -> Counts:
    """Make the runs of a cell the current ones of its slots, and no others."""
    if not cell.runs:
        return Counts()
    name = cell_name(cell.runs[0].problem, cell.runs[0].estimator)
    return tracker.show(name, list(cell_entries(tracker.workspace, cell)))


def sync_followers(tracker: Tracker, problem: str, learning: pd.DataFrame) -> Counts:
    """The same for followers that learn by themselves, of columns `LEARNING_COLUMNS`."""
    curves = learning.groupby(["follower", "variant", "temperature", "seed"])
    entries = [follower_entry(tracker.workspace, curve) for _, curve in curves]
    return tracker.show(cell_name(FOLLOWERS, problem), entries)


def sync_sweep(tracker: Tracker, name: str, root: Path) -> Counts:
    """The same for the candidates of a search, in an experiment of its own.

    Raises:
        CorruptRecord: if its results cannot be read.
        ConfigError: if there is no such search.
    """
    grid = read_tuning_params(root / "tuning" / "params.yaml").grid
    if name not in grid:
        raise ConfigError(f"grid: no search {name!r}; there are {sorted(grid)}")
    rows = read_csv(root / "tuning" / "results" / f"{name}.csv").to_dict("records")
    tags = {"problem": grid[name].problem, "estimator": grid[name].estimator}
    entries = [candidate_entry(tracker.workspace, name, tags, row) for row in rows]
    return tracker.show(sweep_cell(name), entries)


def sync_files(tracker: Tracker, cell: str, data: Path, root: Path) -> Counts | None:
    """Make MLflow show what the files of a cell say: nothing, if it has left the grid.

    The files are in `data`, with grid.json, leaders/ and followers/, and in tuning/ of `root`. Of
    runs that are shown already only the names and keys are read.

    Returns:
        None if another process is showing it.

    Raises:
        CorruptRecord: if its files are missing or damaged.
        ConfigError: if the parameters of a search are.
    """
    with tracker.showing(cell, wait=False) as free:
        if not free:
            return None
        if has_left(cell, data, root):
            return Counts(retired=tracker.retire(cell))
        if cell.endswith(SWEEP):
            return sync_sweep(tracker, cell.removesuffix(SWEEP), root)
        if experiment_of(cell) == FOLLOWERS:
            problem = cell.removeprefix(cell_name(FOLLOWERS, ""))
            path = data / "followers" / problem / "learning.csv"
            return sync_followers(tracker, problem, read_csv(path, LEARNING_COLUMNS))
        runs = _identities(data / "leaders" / cell)
        if runs and tracker.shows(
            cell, {slot(tracker.workspace, run): run.run_key for run in runs}
        ):
            return Counts(unchanged=len(runs))
        return sync_cell(tracker, Cell.read(data / "leaders" / cell))


def _identities(folder: Path) -> list[RunIdentity]:
    """Which runs the files of a cell hold; their numbers take much longer to read.

    Raises:
        CorruptRecord: if that cannot be read.
    """
    try:
        return [RunIdentity(**entry) for entry in read_json(folder / "runs.json")]
    except TypeError as error:
        raise CorruptRecord(f"{folder / 'runs.json'}: {error}") from error


def sync_pending(tracker: Tracker, data: Path, root: Path) -> None:
    """Show what earlier stages could not; what still cannot be shown waits for the next."""
    for cell in tracker.pending():
        if not tracker.failed:
            # Damaged files are for their own stage to tell, which shows the cell when it has run.
            with suppress(ConfigError, CorruptRecord):
                sync_files(tracker, cell, data, root)


def retire_left(tracker: Tracker, data: Path, root: Path) -> dict[str, int]:
    """Take the runs of all cells that have left the grid out of the current ones; their numbers."""
    retired = {}
    for cell in sorted(tracker.current_cells()):
        if has_left(cell, data, root) and (counts := sync_files(tracker, cell, data, root)):
            retired[cell] = counts.retired
    return retired


def has_left(cell: str, data: Path, root: Path) -> bool:
    """Whether the grid, of cells or of searches, lists a cell no more.

    What is listed and has no files is being computed. While the grid itself is being rewritten, or
    cannot be read, nothing has left it.
    """
    try:
        if cell.endswith(SWEEP):
            grid = read_tuning_params(root / "tuning" / "params.yaml").grid
            return cell.removesuffix(SWEEP) not in grid
        listed = read_json(data / "grid.json")["cells"]
        cells = {cell_name(entry["problem"], entry["estimator"]) for entry in listed}
        followers = {cell_name(FOLLOWERS, entry["problem"]) for entry in listed}
        return cell not in cells | followers
    except (ConfigError, CorruptRecord, KeyError, TypeError):
        return False
