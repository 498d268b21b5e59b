"""Tracking against real SQLite stores: what the filter `tags.current = 'true'` shows afterwards."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from bilevelrl import tracking
from bilevelrl.records import (
    CURVE_COLUMNS,
    LEARNING_COLUMNS,
    Cell,
    CorruptRecord,
    RunIdentity,
)
from bilevelrl.tracking import (
    Counts,
    FinishedRun,
    Tracker,
    finished_runs,
    sync_cell,
    sync_followers,
)

#: MLflow's own use of SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def make_cell(
    seeds: Sequence[int], key: str = "a", estimator: str = "bc_hg", num_rows: int = 5
) -> Cell:
    runs = tuple(
        RunIdentity(
            problem="four_rooms",
            estimator=estimator,
            variant="published",
            setting="temperature=0.003",
            seed=seed,
            run_key=f"{key}{seed}",
            hyperparameters={"temperature": 0.003, "critic": {"step size": 0.1}},
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


@pytest.fixture(scope="module")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store costs 1.5 s of migrations, a copy of one costs nothing."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(migrated_store: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def make_tracker(uri: str, workspace: str = "workspace") -> Tracker:
    return Tracker(uri, workspace, "leaders", commit="c0ffee", digest="d1")


def search(uri: str, condition: str = "", experiment: str = "four_rooms") -> list[Run]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], condition))


def current_seeds(uri: str) -> list[int]:
    return sorted(int(run.data.params["seed"]) for run in search(uri, "tags.current = 'true'"))


def test_a_run_shows_its_parameters_tags_curves_and_files(uri: str, tmp_path: Path) -> None:
    def attach(run: FinishedRun, folder: Path) -> None:
        (folder / "map.txt").write_text(f"seed {run.identity.seed}")

    (finished,) = finished_runs(make_cell([7]))
    outcome = make_tracker(uri).put(replace(finished, tags={"md5": "f00"}), attach)
    (run,) = search(uri)
    assert outcome == "logged"
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "problem": "four_rooms",
        "estimator": "bc_hg",
        "variant": "published",
        "setting": "temperature=0.003",
        "seed": "7",
        "temperature": "0.003",
        "critic.step size": "0.1",
    }
    expected = {
        "slot": "workspace/four_rooms/bc_hg/published/temperature=0.003/7",
        "run_key": "a7",
        "current": "true",
        "workspace": "workspace",
        "variant": "published",
        "dvc_stage": "leaders@four_rooms-bc_hg",
        "mlflow.source.git.commit": "c0ffee",
        "params_digest": "d1",
        "md5": "f00",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.data.metrics["env_steps"] == 99_000
    assert "failure" not in run.data.tags
    assert "cosine" not in run.data.metrics  # NaN throughout
    folder = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=uri))
    assert folder.is_relative_to(tmp_path / "mlruns")
    np.testing.assert_array_equal(np.load(folder / "theta.npy"), finished.theta)
    assert json.loads((folder / "params.json").read_text())["critic"] == {"step size": 0.1}
    assert (folder / "map.txt").read_text() == "seed 7"


def test_the_final_return_averages_the_windows_of_the_last_tenth(uri: str) -> None:
    (run,) = finished_runs(make_cell([0], num_rows=50))  # last update 999: rows 919 to 999 average
    make_tracker(uri).put(run)
    (logged,) = search(uri)
    assert logged.data.metrics["final_leader_return"] == pytest.approx(
        np.mean([919, 939, 959, 979, 999]) / 999
    )


def test_a_second_put_logs_nothing(uri: str) -> None:
    cell = make_cell([0, 1])
    assert sync_cell(make_tracker(uri), cell) == Counts(logged=2)
    tracker = make_tracker(uri)
    assert sync_cell(tracker, cell) == Counts(unchanged=2)
    assert sync_cell(tracker, cell) == Counts(unchanged=2)
    assert len(search(uri)) == 2


def test_a_new_key_supersedes_and_an_old_key_revives(uri: str) -> None:
    old, new = make_cell([0, 1], "old"), make_cell([0, 1], "new")
    sync_cell(make_tracker(uri), old)
    assert sync_cell(make_tracker(uri), new) == Counts(logged=2)
    keys = {run.info.run_id: run.data.tags["run_key"] for run in search(uri)}
    retired = search(uri, "tags.current = 'false'")
    assert {run.data.tags["run_key"] for run in retired} == {"old0", "old1"}
    for run in retired:
        successor = keys[run.data.tags["superseded_by"]]
        assert successor == run.data.tags["run_key"].replace("old", "new")

    assert sync_cell(make_tracker(uri), old) == Counts(revived=2)
    current = search(uri, "tags.current = 'true'")
    assert {run.data.tags["run_key"] for run in current} == {"old0", "old1"}
    assert not any("superseded_by" in run.data.tags for run in current)
    assert len(search(uri)) == 4


def test_a_seed_that_left_the_grid_is_retired_and_may_come_back(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0, 1, 2]))
    sync_cell(make_tracker(uri), make_cell([0, 1, 2], estimator="naive"))
    assert sync_cell(make_tracker(uri), make_cell([0, 2])) == Counts(unchanged=2, retired=1)
    assert current_seeds(uri) == [0, 0, 1, 2, 2]  # the other cell keeps its three
    assert sync_cell(make_tracker(uri), make_cell([0, 1])) == Counts(
        unchanged=1, revived=1, retired=1
    )
    assert current_seeds(uri) == [0, 0, 1, 1, 2]


def test_a_run_left_open_by_a_crash_is_closed_and_logged_anew(uri: str) -> None:
    def crash(run: FinishedRun, folder: Path) -> None:
        raise KeyboardInterrupt

    sync_cell(make_tracker(uri), make_cell([0], "old"))
    with pytest.raises(KeyboardInterrupt):
        sync_cell(make_tracker(uri), make_cell([0], "new"), crash)
    assert [run.info.status for run in search(uri, "tags.current = 'true'")] == ["FINISHED"]
    assert len(search(uri, "attributes.status = 'RUNNING'")) == 1

    assert sync_cell(make_tracker(uri), make_cell([0], "new")) == Counts(logged=1)
    assert [run.data.tags["run_key"] for run in search(uri, "tags.current = 'true'")] == ["new0"]
    (killed,) = search(uri, "attributes.status = 'KILLED'")
    assert killed.data.tags["current"] == "false"
    assert not search(uri, "attributes.status = 'RUNNING'")


def test_two_workspaces_do_not_retire_each_other(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0, 1]))
    assert sync_cell(make_tracker(uri, "tame-hare"), make_cell([1, 2], "b")) == Counts(logged=2)
    assert current_seeds(uri) == [0, 1, 1, 2]
    assert make_tracker(uri, "third").current_cells() == set()
    assert make_tracker(uri).current_cells() == {("four_rooms", "bc_hg")}


def test_curves_are_thinned_between_their_ends_and_keep_nan_but_not_infinity(uri: str) -> None:
    (run,) = finished_runs(make_cell([0], num_rows=500))
    run.curve["cosine"] = np.where(run.curve["update"] > 5000, 0.5, np.nan)
    run.curve["gradient_norm"] = np.where(run.curve["update"] > 5000, np.inf, 1.0)
    make_tracker(uri).put(run)
    (logged,) = search(uri)
    client = MlflowClient(uri)
    history = {
        name: client.get_metric_history(logged.info.run_id, name)
        for name in ("leader_return", "cosine", "gradient_norm")
    }
    steps = [point.step for point in history["leader_return"]]
    assert 90 <= len(steps) <= 200
    assert (min(steps), max(steps)) == (19, 9999)
    assert any(np.isnan(point.value) for point in history["cosine"])
    assert len(history["cosine"]) == len(steps)
    assert {point.value for point in history["gradient_norm"]} == {1.0}


def test_a_run_of_many_and_long_parameters_is_logged(uri: str) -> None:
    cell = make_cell([0])
    values = {f"weight@{index}": "x" * 7000 for index in range(150)}
    many = replace(cell, runs=(replace(cell.runs[0], hyperparameters=values),))
    assert sync_cell(make_tracker(uri), many) == Counts(logged=1)
    (run,) = search(uri)
    assert len(run.data.params) == 155
    assert len(run.data.params["weight_149"]) == 6000


def test_an_experiment_deleted_by_hand_comes_back(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0]))
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("four_rooms")
    assert found is not None
    client.delete_experiment(found.experiment_id)
    sync_cell(make_tracker(uri), make_cell([0, 1]))
    assert current_seeds(uri) == [0, 1]


def test_summaries_of_a_sweep_are_superseded_by_name(uri: str) -> None:
    def put(name: str, value: float) -> str:
        tracker = Tracker(uri, "workspace", "tuning", "c0ffee", "d1")
        return tracker.put_summary(
            "four_rooms-tuning",
            name,
            {"step_size": 0.1},
            {"leader_return": value},
            {"kind": "grid"},
        )

    assert [put("a", 1.0), put("a", 1.0), put("a", 2.0), put("b", 3.0)] == [
        "logged", "unchanged", "logged", "logged",
    ]  # fmt: skip
    current = search(uri, "tags.current = 'true'", "four_rooms-tuning")
    assert {run.info.run_name: run.data.metrics["leader_return"] for run in current} == {
        "a": 2.0,
        "b": 3.0,
    }
    assert make_tracker(uri).current_cells() == set()
    assert make_tracker(uri).retire_summaries("four_rooms-tuning", keep={"b"}) == 1
    assert len(search(uri, "tags.current = 'true'", "four_rooms-tuning")) == 1


def test_a_run_whose_follower_diverged_says_so(uri: str) -> None:
    cell = make_cell([0, 1])
    measured = [name for name, kind in CURVE_COLUMNS.items() if kind == "float64"]
    cell.curves.loc[cell.curves["seed"] == 1, measured] = np.nan
    runs = (cell.runs[0], replace(cell.runs[1], failure="loss 1e30 is not below 1e10"))
    theta = np.where(np.arange(2)[:, None] == 1, np.nan, cell.theta)
    assert sync_cell(make_tracker(uri), replace(cell, runs=runs, theta=theta)) == Counts(logged=2)
    tags = {run.data.params["seed"]: run.data.tags for run in search(uri)}
    assert tags["1"]["failure"] == "loss 1e30 is not below 1e10"
    assert "failure" not in tags["0"]
    (failed,) = search(uri, "tags.failure != ''")
    assert failed.data.params["seed"] == "1"
    assert failed.info.status == "FINISHED"


LEARNED = "followers"


def make_learning(problem: str, seeds: Sequence[int], scale: float = 1.0) -> pd.DataFrame:
    rows = [
        (problem, "soft_q", "corrected", temperature, seed, steps, gap, 0.1 * gap, 0.5 * gap)
        for temperature in (0.003, 0.005)
        for seed in seeds
        for steps in (100, 1000)
        for gap in [scale * (1 + seed) * 100.0 / steps]
    ]
    return pd.DataFrame(rows, columns=list(LEARNING_COLUMNS))


def learned(uri: str) -> list[tuple[str, float, int]]:
    """Problem, temperature and seed of every follower that is shown."""
    return sorted(
        (run.data.params["problem"], float(run.data.params["temperature"]),
         int(run.data.params["seed"]))
        for run in search(uri, "tags.current = 'true'", LEARNED)
    )  # fmt: skip


def test_a_follower_shows_its_curve_against_its_transitions(uri: str) -> None:
    tracker = Tracker(uri, "workspace", "followers", commit="c0ffee", digest="d1")
    assert sync_followers(tracker, "four_rooms", make_learning("four_rooms", [7])) == Counts(
        logged=2
    )
    (run,) = [
        run for run in search(uri, "", LEARNED) if float(run.data.params["temperature"]) == 0.003
    ]
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "problem": "four_rooms", "follower": "soft_q", "variant": "corrected",
        "temperature": "0.003", "seed": "7",
    }  # fmt: skip
    expected = {
        "slot": "workspace/four_rooms/soft_q/corrected/0.003/7",
        "current": "true",
        "workspace": "workspace",
        "problem": "four_rooms",
        "dvc_stage": "followers",
        "mlflow.source.git.commit": "c0ffee",
        "params_digest": "d1",
    }
    assert expected.items() <= run.data.tags.items()
    history = {
        name: [
            (point.step, point.value)
            for point in MlflowClient(uri).get_metric_history(run.info.run_id, name)
        ]
        for name in ("value_gap", "relative_gap", "kl")
    }
    assert history == {
        "value_gap": [(100, 8.0), (1000, pytest.approx(0.8))],
        "relative_gap": [(100, pytest.approx(0.8)), (1000, pytest.approx(0.08))],
        "kl": [(100, 4.0), (1000, pytest.approx(0.4))],
    }
    assert run.info.run_name == "four_rooms soft_q seed=7"


def test_followers_are_logged_once_and_superseded_by_their_curves(uri: str) -> None:
    def sync(learning: pd.DataFrame) -> Counts:
        return sync_followers(make_tracker(uri), "four_rooms", learning)

    old = make_learning("four_rooms", [0, 1])
    new = pd.concat([old[old["seed"] == 0], make_learning("four_rooms", [1], scale=2.0)])
    assert sync(old) == Counts(logged=4)
    assert sync(old) == Counts(unchanged=4)
    assert sync(old.iloc[::-1].sort_values("steps")) == Counts(unchanged=4)
    assert len(search(uri, "", LEARNED)) == 4
    assert sync(new) == Counts(logged=2, unchanged=2)
    assert len(search(uri, "tags.current = 'false'", LEARNED)) == 2
    assert sync(old) == Counts(unchanged=2, revived=2)
    assert len(search(uri, "", LEARNED)) == 6
    assert len(learned(uri)) == 4


def test_followers_that_are_gone_are_retired_and_those_of_others_are_not(uri: str) -> None:
    both = {name: make_learning(name, [0, 1]) for name in ("discrete_toy_r1", "four_rooms")}
    for problem, learning in both.items():
        assert sync_followers(make_tracker(uri), problem, learning) == Counts(logged=4)
    mine = make_tracker(uri, "tame-hare")
    assert sync_followers(mine, "four_rooms", both["four_rooms"]) == Counts(logged=4)

    fewer = make_learning("four_rooms", [1])
    assert sync_followers(make_tracker(uri), "four_rooms", fewer) == Counts(unchanged=2, retired=2)
    assert len(learned(uri)) == 4 + 2 + 4
    assert sync_followers(make_tracker(uri), "four_rooms", fewer.iloc[:0]) == Counts(retired=2)
    assert [who[0] for who in learned(uri)] == ["discrete_toy_r1"] * 4 + ["four_rooms"] * 4
    assert sync_followers(make_tracker(uri), "four_rooms", fewer) == Counts(revived=2)


def test_followers_are_no_cells_and_cells_no_followers(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0]))
    sync_followers(make_tracker(uri), "four_rooms", make_learning("four_rooms", [0]))
    assert make_tracker(uri).current_cells() == {("four_rooms", "bc_hg")}
    assert sync_cell(make_tracker(uri), make_cell([0])) == Counts(unchanged=1)
    assert len(learned(uri)) == 2


def test_followers_survive_a_store_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make_tracker(f"sqlite:///{tmp_path / 'missing' / 'mlflow.db'}")
    found = sync_followers(tracker, "four_rooms", make_learning("four_rooms", [0, 1]))
    assert found == Counts(failed=4)
    assert tracker.failed
    lines = [each for each in caplog.records if each.name.startswith("bilevelrl")]
    assert len(lines) == 1


@pytest.mark.parametrize("kind", ["a folder", "no folder", "not a database", "no server"])
def test_a_store_that_fails_is_one_line_and_no_exception(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    if kind == "a folder":
        path.mkdir()
    elif kind == "no folder":
        uri = f"sqlite:///{tmp_path / 'missing' / 'mlflow.db'}"
    elif kind == "not a database":
        path.write_text("not a database " * 1000)
    else:
        uri = "http://me:secret@127.0.0.1:9"
    start = time.monotonic()
    tracker = make_tracker(uri)
    assert sync_cell(tracker, make_cell([0, 1, 2])) == Counts(failed=3)
    assert tracker.current_cells() == set()
    assert tracker.failed
    assert time.monotonic() - start < 10
    (line,) = [
        record.getMessage() for record in caplog.records if record.name.startswith("bilevelrl")
    ]
    assert "\n" not in line
    assert uri.replace("me:secret", "***") in line
    assert "secret" not in line
    assert "python -m pipeline.mlflow_sync" in line


def test_a_run_without_a_curve_is_a_corrupt_record() -> None:
    cell = make_cell([0, 1])
    with pytest.raises(CorruptRecord, match="no curve of four_rooms, bc_hg"):
        list(finished_runs(replace(cell, curves=cell.curves.query("seed == 0"))))


def test_where_and_whose_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "BILEVELRL_WORKSPACE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert tracking.tracking_uri(Path("here")) == f"sqlite:///{Path.cwd()}/here/mlflow.db"
    assert tracking.workspace() == "workspace"
    monkeypatch.setenv("DVC_ROOT", "/repository")
    monkeypatch.setenv("DVC_EXP_NAME", "tame-hare")
    assert tracking.tracking_uri(Path("here")) == "sqlite:////repository/mlflow.db"
    assert tracking.workspace() == "tame-hare"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setenv("BILEVELRL_WORKSPACE", "mine")
    assert tracking.tracking_uri(Path("here")) == "http://localhost:5000"
    assert tracking.workspace() == "mine"


def test_importing_and_constructing_does_not_import_mlflow() -> None:
    code = (
        "import sys; from pathlib import Path; from bilevelrl.tracking import Tracker;"
        "Tracker.here(Path.cwd(), 'leaders'); print('mlflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
