"""Make MLflow show exactly the runs under data/leaders and data/followers; safe to repeat.

Stages that DVC skips, takes from its cache or pulls log nothing, and a failed or deleted store is
empty: this fills the gap, also while `dvc repro` runs. No stage depends on it.

Reads:  data/grid.json; data/leaders/<problem>/<estimator>/, as the leaders stage writes them, and
        data/followers/<problem>/learning.csv; tuning/params.yaml, and tuning/results of searches
        that MLflow should show already.
Writes: the MLflow store (MLFLOW_TRACKING_URI, else mlflow.db).
"""

import argparse
import select
import sys
from dataclasses import asdict
from pathlib import Path

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.table_files import CorruptRecord
from bilevelrl.tracking.finished_runs import FOLLOWERS, SWEEP, cell_name
from bilevelrl.tracking.sync import retire_left, sync_files, sync_pending
from bilevelrl.tracking.tracker import Counts, Tracker
from bilevelrl.tracking.workspace import computed_profiles, derived_names
from pipeline.stage import run_stage

#: Seconds between two looks at what stages have left to a process beside them.
PAUSE = 2.0


def main(leaders: Path, root: Path) -> int:
    """Show every cell below `leaders` and retire the runs of those that have left the grid.

    The exit status is 0 if MLflow now shows what is there.
    """
    if not leaders.is_dir():
        if computed_profiles(root):  # which show their runs themselves
            return 0
        print(f"{leaders}: no such folder; run `dvc repro` or `dvc pull` first", file=sys.stderr)
        return 1
    data, tracker = leaders.parent, Tracker.here(root)
    folders = sorted(path for path in leaders.glob("*/*") if path.is_dir())
    cells = [cell_name(folder.parent.name, folder.name) for folder in folders]
    learning = sorted(data.glob("followers/*/learning.csv"))
    cells += [cell_name(FOLLOWERS, path.parent.name) for path in learning]
    cells += [cell for cell in tracker.pending() if cell.endswith(SWEEP)]
    corrupt = 0
    for cell in cells:
        try:
            _report(cell, sync_files(tracker, cell, data, root))
        except (ConfigError, CorruptRecord) as error:
            print(f"{_name(cell)}: left as it was, {error}", file=sys.stderr)
            corrupt += 1
    for cell, retired in retire_left(tracker, data, root).items():
        _report(cell, Counts(retired=retired))
    if (names := derived_names(root)) is not None:
        for name, count in tracker.retire_derived(names).items():
            print(f"{name}, which is no experiment or profile any more: {count} retired")
    return int(tracker.failed or corrupt > 0)


def beside(data: Path, root: Path) -> None:
    """Show cells as stages leave them behind, until standard input ends; then all that are left."""
    tracker = Tracker.here(root)
    ended = False
    while not ended and not tracker.failed:
        ended = bool(select.select([sys.stdin], [], [], PAUSE)[0])
        sync_pending(tracker, data, root)


def _name(cell: str) -> str:
    """A cell as people read it: problem and estimator, problem and "followers", or a search."""
    first, *second = cell.split("/")
    return " ".join((*second, first) if first == FOLLOWERS else (first, *second))


def _report(cell: str, counts: Counts | None) -> None:
    what = "another process is showing it"
    if counts is not None:
        numbers = [f"{count} {word}" for word, count in asdict(counts).items() if count]
        what = ", ".join(numbers) or "nothing to do"
    print(f"{_name(cell)}: {what}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/leaders"))
    parser.add_argument(
        "--beside", action="store_true", help="show what stages leave to it, until stdin ends"
    )
    arguments = parser.parse_args()
    if arguments.beside:
        run_stage(lambda: beside(arguments.data.parent, Path.cwd()))
    else:
        run_stage(lambda: sys.exit(main(arguments.data, Path.cwd())))
