"""What the whole default grid takes in the database, and what it shows once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import CURVE_COLUMNS, Cell
from bilevelrl.tracking.sync import sync_cell
from tests.tracking.stores import make_cell, make_tracker, search

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
LIMIT = 150e6  # bytes


def num_runs() -> int:
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    return sum(
        len(setting.seeds)
        for item in params.grid.values()
        for setting in params.settings(item.problem, item.estimator)
    )


def make_busy_cell(seeds: range) -> Cell:
    """Runs of which nothing is constant, with as many parameters as any."""
    cell = make_cell(seeds, num_rows=100)
    rng = np.random.default_rng(0)
    for name, kind in CURVE_COLUMNS.items():
        if kind == "float64":
            cell.curves[name] = rng.standard_normal(len(cell.curves))
    cell.curves["oracle_steps"] = cell.curves["env_steps"]
    values = {f"hyper_parameter_{index}": 0.0123 for index in range(30)}
    return replace(cell, runs=tuple(replace(run, hyperparameters=values) for run in cell.runs))


def test_the_default_grid_takes_less_than_the_limit(uri: str, tmp_path: Path) -> None:
    def size(seeds: range) -> int:
        sync_cell(make_tracker(uri), make_busy_cell(seeds))
        return (tmp_path / "mlflow.db").stat().st_size

    empty = (tmp_path / "mlflow.db").stat().st_size
    few, many = size(range(10)), size(range(40))
    per_run = (many - few) / 30
    assert per_run > 10_000  # it was written
    assert empty + num_runs() * per_run < LIMIT


def test_what_never_changes_is_logged_once(uri: str) -> None:
    cell = make_busy_cell(range(1))
    cell.curves["oracle_steps"] = 7
    cell.curves["follower_kl"] = 0.0
    cell.curves["follower_accuracy"] = np.where(cell.curves["update"] < 500, np.nan, 1.0)
    sync_cell(make_tracker(uri), cell)
    (run,) = search(uri)
    client = make_tracker(uri)._store._client

    def history(name: str) -> list[tuple[int, float]]:
        points = client.get_metric_history(run.info.run_id, name)
        return [(point.step, point.value) for point in points]

    assert history("4_transitions/oracle_steps") == [(0, 7.0)]
    assert history("3_follower/follower_kl") == [(0, 0.0)]
    assert len(history("3_follower/follower_accuracy")) > 1  # unknown at first is a change
    assert len(history("1_return/leader_return")) == 25


def test_every_measured_column_is_shown_in_a_section(uri: str) -> None:
    sync_cell(make_tracker(uri), make_busy_cell(range(1)))
    (run,) = search(uri)
    sections = [name.partition("/") for name in run.data.metrics]
    measured = {name for name, kind in CURVE_COLUMNS.items() if kind == "float64"}
    steps = {"env_steps", "oracle_steps", "follower_steps"}
    assert {name for _, _, name in sections} == measured | steps | {"leader_return_final"}
    assert min(run.data.metrics) == "1_return/leader_return"
