"""Make MLflow show exactly the runs under data/leaders and data/followers; safe to repeat.

Stages that DVC skips, takes from its cache or pulls log nothing, and a failed or deleted store is
empty: this fills the gap. No stage depends on it.

Reads:  <data>/<problem>/<estimator>/, as the leaders stage writes them, and learning.csv of the
        followers stage beside it.
Writes: the MLflow store (MLFLOW_TRACKING_URI, else mlflow.db).
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from bilevelrl.records import LEARNING_COLUMNS, Cell, CorruptRecord, read_csv
from bilevelrl.tracking import FOLLOWERS, Tracker, sync_cell, sync_followers
from pipeline.attachments import attach_penalty_map


def main(data: Path, root: Path, address: str = "") -> int:
    """Show every cell below `data` and retire the runs of cells that are gone.

    Returns:
        Exit status: 0 if MLflow now shows what is there.
    """
    if not data.is_dir():  # an empty answer here would retire everything
        print(f"{data}: no such folder; run `dvc repro` or `dvc pull` first", file=sys.stderr)
        return 1
    tracker = Tracker.here(root, "leaders")
    folders = sorted(path for path in data.glob("*/*") if path.is_dir())
    corrupt = 0
    for folder in folders:
        try:
            counts = sync_cell(tracker, Cell.read(folder), attach_penalty_map)
        except CorruptRecord as error:
            print(f"{folder.parent.name} {folder.name}: left as it was, {error}", file=sys.stderr)
            corrupt += 1
        else:
            _report(folder.parent.name, folder.name, asdict(counts))
    followers = Tracker.here(root, "followers")
    for path in sorted(data.parent.glob("followers/*/learning.csv")):
        problem = path.parent.name
        counts = sync_followers(followers, problem, read_csv(path, LEARNING_COLUMNS))
        _report(problem, "followers", asdict(counts))
    cells = {(folder.parent.name, folder.name) for folder in folders}
    for problem, estimator in sorted(tracker.current_cells() - cells):
        _report(problem, estimator, {"retired": tracker.retire(problem, estimator, keep=())})
    if address:
        for experiment in (*sorted({folder.parent.name for folder in folders}), FOLLOWERS):
            print(f"{experiment}: {address}/{tracker.page(experiment)}")
    return int(tracker.failed or followers.failed or corrupt > 0)


def _report(problem: str, estimator: str, counts: dict[str, int]) -> None:
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print(f"{problem} {estimator}: {words or 'nothing to do'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/leaders"))
    parser.add_argument("--address", default="", help="of the UI, to print where to look")
    arguments = parser.parse_args()
    sys.exit(main(arguments.data, Path.cwd(), arguments.address))
