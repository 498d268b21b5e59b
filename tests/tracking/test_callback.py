"""A trainer's runs in MLflow."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from bilevelrl.tracking.callback import MLflowCallback
from tests.trainer.test_trainer import make

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_settings_and_curves_are_logged(tmp_path: Path, migrated_store: Path) -> None:
    shutil.copy(migrated_store, tmp_path / "store.db")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    trainer = make().learn(80, MLflowCallback("mine", run_name="first", tracking_uri=uri))
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert run.data.params["estimator"] == "bc_hg"
    assert run.data.params["temperature"] == "0.3"
    curve = client.get_metric_history(run.info.run_id, "leader_return_sampled")
    assert [(point.step, point.value) for point in curve] == [
        (int(row["env_steps"]), row["leader_return_sampled"]) for row in trainer.history
    ]
    trainer.learn(40, MLflowCallback("mine", tracking_uri=uri))
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_store_that_fails_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    uri: Any = f"sqlite:///{tmp_path / 'file' / 'store.db'}"
    with pytest.warns(UserWarning, match="MLflow was given up"):
        trainer = make().learn(80, MLflowCallback(tracking_uri=uri))
    assert trainer.num_updates == 2
