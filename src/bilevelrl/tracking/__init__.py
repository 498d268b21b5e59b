"""MLflow as a view: it shows finished runs, no stage reads it, the files under DVC can rebuild it.

The only package that imports mlflow, and only when a `Tracker` is first used.
"""

from bilevelrl.tracking.finished_runs import FOLLOWERS, Attach, FinishedRun, finished_runs
from bilevelrl.tracking.sync import Counts, sync_cell, sync_followers
from bilevelrl.tracking.tracker import Outcome, Tracker, tracking_uri, workspace

__all__ = [
    "FOLLOWERS",
    "Attach",
    "Counts",
    "FinishedRun",
    "Outcome",
    "Tracker",
    "finished_runs",
    "sync_cell",
    "sync_followers",
    "tracking_uri",
    "workspace",
]
