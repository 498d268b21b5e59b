"""Logs a `BilevelTrainer` to MLflow while it learns."""

import sys
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from bilevelrl.tracking.client import open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from bilevelrl.trainer.trainer import BilevelTrainer


class MLflowCallback:
    """One MLflow run per call of `BilevelTrainer.learn`: settings as parameters, curves as metrics.

    Metrics have the transitions that the leader played as their step. A store that fails costs a
    warning and the rest of the log, never the training.
    """

    def __init__(
        self,
        experiment: str = "bilevelrl.trainer",
        *,
        run_name: str | None = None,
        tracking_uri: str | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            experiment: made if it does not exist.
            run_name: in place of MLflow's random one.
            tracking_uri: of the store; None takes MLflow's (`MLFLOW_TRACKING_URI`).
        """
        self._experiment, self._name, self._uri = experiment, run_name, tracking_uri
        self._client: MlflowClient | None = None
        self._run = ""

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        """Open a run and log the settings."""
        settings = {**trainer.settings, "total_timesteps": total_timesteps}
        self._attempt(lambda: self._open(settings))

    def _open(self, settings: dict[str, object]) -> None:
        from mlflow import get_tracking_uri
        from mlflow.entities import Param

        client = open_client(self._uri or get_tracking_uri())
        found = client.get_experiment_by_name(self._experiment)
        number = found.experiment_id if found else client.create_experiment(self._experiment)
        run = client.create_run(number, run_name=self._name)
        parameters = [Param(name, str(value)) for name, value in settings.items()]
        client.log_batch(run.info.run_id, params=parameters)
        self._client, self._run = client, run.info.run_id

    def on_update(self, trainer: "BilevelTrainer") -> bool | None:
        """Log the newest numbers."""
        client, newest = self._client, trainer.history[-1]
        if client is not None:
            from mlflow.entities import Metric

            now, step = int(time.time() * 1000), int(newest["env_steps"])
            metrics = [Metric(name, value, now, step) for name, value in newest.items()]
            self._attempt(lambda: client.log_batch(self._run, metrics=metrics))
        return None

    def on_end(self, trainer: "BilevelTrainer") -> None:
        """Close the run; it failed if an error is under way."""
        client, error = self._client, sys.exc_info()[0]
        if client is not None:
            status = "FINISHED" if error is None else "FAILED"
            self._attempt(lambda: client.set_terminated(self._run, status))
        self._client = None

    def _attempt(self, log: Callable[[], object]) -> None:
        try:
            log()
        except Exception as error:
            self._client = None
            warnings.warn(f"MLflow was given up: {error}", stacklevel=4)
