"""Made-up cells, and what a store shows of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from bilevelrl.runs.records import CURVE_COLUMNS, Cell, RunIdentity
from bilevelrl.tracking.tracker import Tracker


def make_cell(
    seeds: Sequence[int],
    key: str = "a",
    estimator: str = "bc_hg",
    num_rows: int = 5,
    problem: str = "four_rooms",
) -> Cell:
    runs = tuple(
        RunIdentity(
            problem=problem,
            estimator=estimator,
            variant="published",
            setting="temperature=0.003",
            seed=seed,
            run_key=f"{key}{seed}",
            hyperparameters={"temperature": 0.003, "critic": {"step size": 0.1}},
            conditions={"temperature": 0.003},
        )
        for seed in seeds
    )
    curves = pd.concat([_curve(run, num_rows) for run in runs], ignore_index=True)
    return Cell(runs, np.arange(2.0 * len(runs)).reshape(len(runs), 2), curves)


def _curve(run: RunIdentity, num_rows: int) -> pd.DataFrame:
    update = np.arange(num_rows) * 20 + 19
    table = pd.DataFrame({name: np.full(num_rows, np.nan) for name in CURVE_COLUMNS})
    table = table.assign(
        problem=run.problem,
        estimator=run.estimator,
        variant=run.variant,
        setting=run.setting,
        seed=run.seed,
        update=update,
        env_steps=1000 * update,
        oracle_steps=0,
        follower_steps=500 * update,
        leader_return=update / update[-1],
        leader_return_mean=update / update[-1],
    )
    return table.astype(CURVE_COLUMNS)


#: Where no process can keep anything.
NOWHERE = Path("/dev/null")


def make_tracker(uri: str, workspace: str = "workspace", folder: Path = NOWHERE) -> Tracker:
    return Tracker(uri, workspace, commit="c0ffee", digest="d1", folder=folder)


def current_seeds(uri: str) -> list[int]:
    return sorted(int(run.data.params["seed"]) for run in search(uri, "tags.current = 'true'"))


def search(uri: str, condition: str = "", experiment: str = "four_rooms") -> list[Run]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], condition))
