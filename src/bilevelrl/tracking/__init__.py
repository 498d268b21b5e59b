"""MLflow as a view: it shows finished runs, no stage reads it, the files under DVC can rebuild it.

The only package that imports mlflow, and only when a `Tracker` is first used.
"""

from bilevelrl.tracking.derived import derived_names
from bilevelrl.tracking.finished_runs import (
    FOLLOWERS,
    SWEEP,
    Attach,
    FinishedRun,
    cell_name,
    finished_runs,
)
from bilevelrl.tracking.sync import (
    retire_cells,
    retire_left,
    sync_cell,
    sync_files,
    sync_followers,
    sync_pending,
    sync_sweep,
)
from bilevelrl.tracking.tracker import Counts, Tracker
from bilevelrl.tracking.workspace import tracking_uri, workspace

__all__ = [
    "FOLLOWERS",
    "SWEEP",
    "Attach",
    "Counts",
    "FinishedRun",
    "Tracker",
    "cell_name",
    "derived_names",
    "finished_runs",
    "retire_cells",
    "retire_left",
    "sync_cell",
    "sync_files",
    "sync_followers",
    "sync_pending",
    "sync_sweep",
    "tracking_uri",
    "workspace",
]
