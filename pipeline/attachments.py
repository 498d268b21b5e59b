"""Pictures that a run carries in MLflow."""

from pathlib import Path

from bilevelrl.problems import registry
from bilevelrl.tracking import FinishedRun


def attach_pictures(run: FinishedRun, folder: Path) -> None:
    """Let the module `pictures` of the run's problem draw the leader's final θ.

    A run without a result has none.
    """
    if not run.identity.failure and registry.has(run.identity.kind, "pictures"):
        registry.part(run.identity.kind, "pictures").draw(run.theta, folder)
