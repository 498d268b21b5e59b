"""Makes MLflow show what a stage has written; safe to repeat."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from bilevelrl.records import Cell
from bilevelrl.tracking.finished_runs import Attach, finished_runs, run_entry
from bilevelrl.tracking.tracker import Tracker


@dataclass(frozen=True)
class Counts:
    """What became of the runs of a cell; `retired` counts those that are no longer in it."""

    logged: int = 0
    unchanged: int = 0
    revived: int = 0
    failed: int = 0
    retired: int = 0


def sync_followers(tracker: Tracker, problem: str, learning: pd.DataFrame) -> Counts:
    """Make the learning followers of a problem the current ones of their slots, and no others.

    Args:
        tracker: where to show them.
        problem: name.
        learning: columns `LEARNING_COLUMNS`.
    """
    keys = ["follower", "variant", "temperature", "seed"]
    shown = [tracker.put_follower(curve) for _, curve in learning.groupby(keys)]
    outcomes = Counter(outcome for outcome, _ in shown)
    retired = tracker.retire_followers(problem, {slot for _, slot in shown})
    return Counts(**{str(name): count for name, count in outcomes.items()}, retired=retired)


def sync_cell(tracker: Tracker, cell: Cell, attach: Attach | None = None) -> Counts:
    """Make the runs of a cell the current ones of its slots, and no others; safe to repeat."""
    runs = list(finished_runs(cell))
    outcomes = Counter(tracker.put(run, attach) for run in runs)
    keep = {run_entry(tracker.workspace, tracker.stage, run).slot for run in runs}
    cells = {(run.problem, run.estimator) for run in cell.runs}
    retired = sum(tracker.retire(problem, estimator, keep) for problem, estimator in cells)
    return Counts(**{str(name): count for name, count in outcomes.items()}, retired=retired)
