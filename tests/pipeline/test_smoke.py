"""The pipeline as a user runs it: `make repro`, then commands of DVC, in a clone.

The clone has the numbers of the smoke profile and is computed once; every test starts from that
state and puts it back. The code that runs is the clone's own.
"""

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.problems import registry
from bilevelrl.runs.records import SUMMARY_COLUMNS
from tests.pipeline.clones import AFTER, NAIVE, TIMEOUT, Clone, Output, make_clone
from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow


@pytest.fixture
def first(computed: Computed) -> tuple[Clone, Output]:
    """The clone, and what the first `make repro` in it printed."""
    return computed.first, computed.output


@pytest.fixture
def clone(first: tuple[Clone, Output]) -> Iterator[Clone]:
    """The computed clone; left as it was found."""
    clone, _ = first
    yield clone
    clone.put_back()
    shutil.copy2(clone.folder.parent / clone.store.name, clone.store)


def test_a_misspelt_key_stops_the_first_stage_with_one_line(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "clone")
    clone.set("problems.four_rooms.cells.naive.published_100.stepsize", 0.1)
    output = clone.run("dvc", "repro", status=255)
    assert len(output.stages) == 1  # whichever DVC takes first: all of them read all parameters
    assert "Traceback" not in output.text
    (line,) = output.lines_with("unknown key")
    assert line.startswith("error: params.yaml: problems.four_rooms.cells.naive.published_100")
    assert "stepsize = 0.1" in line
    assert "did you mean step_size?" in line
    assert not (clone.folder / "data" / "environments").exists()


def test_a_slip_in_a_block_that_nothing_else_reads_is_refused_too(clone: Clone) -> None:
    clone.set("runtime.job", 3)
    output = clone.run("dvc", "repro", status=255)
    assert output.stages == ["grid"]
    (line,) = output.lines_with("error: params.yaml")
    assert line.startswith("error: params.yaml: runtime.job = 3")
    assert "did you mean jobs?" in line


def test_the_first_run_computes_every_stage_once(first: tuple[Clone, Output]) -> None:
    clone, output = first
    assert len(clone.num_runs("four_rooms")) == 8
    assert len(clone.num_runs("discrete_toy_r1")) + len(clone.num_runs("bilevel_lqr")) > 4
    assert sorted(output.stages) == sorted(clone.stages())
    # A follower whose problem has no cell in this grid is nobody's input and may come last.
    assert [stage for stage in output.stages if stage in AFTER] == AFTER
    summary = clone.summary()
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert set(summary["estimator"]) == set(clone.num_runs())
    assert len(list((clone.folder / "figures").rglob("*.png"))) >= 5
    assert len(list((clone.folder / "figures").rglob("*.pdf"))) >= 5
    assert list((clone.folder / "results" / "metrics" / "four_rooms").glob("*.json"))


def test_a_second_run_runs_nothing(clone: Clone) -> None:
    assert list((clone.folder / "src").rglob("*.pyc"))  # compiled files are no change
    output = clone.run("dvc", "repro")
    assert output.stages == []
    assert "up to date" in output.text
    assert clone.run("git", "status", "--porcelain").text == ""


def test_an_estimator_that_leaves_the_grid_leaves_the_results(clone: Clone) -> None:
    clone.set("grid.four_rooms-sobirl", ...)
    output = clone.run("dvc", "repro", "evaluate")
    assert output.stages == ["grid", "evaluate"]
    assert set(clone.summary()["estimator"]) == set(clone.num_runs())
    assert "sobirl" not in clone.num_runs()
    assert not (clone.folder / "data" / "leaders" / "four_rooms" / "sobirl").exists()
    for path in (clone.folder / "results").glob("*.*"):
        if path.name not in ("gradients.csv", "against_published.csv"):
            assert "sobirl" not in path.read_text(), path
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == clone.num_runs()


def pieces(clone: Clone) -> dict[Path, int]:
    """Finished runs in the work folder, with the time at which they were written."""
    # Not one that is being written: that has a name of its own, which a kill may leave behind.
    found = (clone.folder / ".work" / "runs").rglob("*.npz")
    return {path: path.stat().st_mtime_ns for path in found}


def test_a_killed_stage_goes_on_where_it_stopped(clone: Clone) -> None:
    # Six settings, each a chunk of its own, one after the other.
    entry = {
        "variant": "published", "temperature": 0.003, "num_envs": 1, "step_size": 0.5,
        "num_seeds": 1, "num_updates": 4000,
    }  # fmt: skip
    budgets = range(110, 170, 10)
    entries = {
        f"published_{budget}": {**entry, "env_steps_per_update": budget} for budget in budgets
    }
    clone.set("problems.four_rooms.cells.naive", entries)
    clone.set("runtime.jobs", 1)
    before = pieces(clone)
    process = clone.start("dvc", "repro", NAIVE)
    begin = time.monotonic()
    while len(pieces(clone)) < len(before) + 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() - begin < TIMEOUT
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = pieces(clone)
    num_kept = len(kept) - len(before)
    assert 2 <= num_kept < len(budgets)

    output = clone.run("dvc", "repro", NAIVE)
    assert output.stages == [NAIVE]
    after = pieces(clone)
    assert len(after) == len(before) + len(budgets)
    assert {path: after[path] for path in kept} == kept  # not computed again
    assert not list((clone.folder / ".work" / "runs").rglob("*.part"))
    table = pd.read_parquet(clone.folder / "data/leaders/four_rooms/naive/curves.parquet")
    assert table["setting"].nunique() == len(budgets)
    assert (table.groupby("setting").size() == table.groupby("setting").size().iloc[0]).all()
    assert clone.tracked()["naive"] == len(budgets)
    assert not clone.unfinished()


def test_an_unwritable_tracking_store_warns_and_loses_nothing(clone: Clone) -> None:
    before = clone.hashes()
    store = f"sqlite:///{clone.folder / 'no' / 'such' / 'folder' / 'mlflow.db'}"
    command = ("dvc", "repro", "--force", "--single-item", NAIVE)
    output = clone.run(*command, MLFLOW_TRACKING_URI=store)
    assert output.stages == [NAIVE]
    (warning,) = output.lines_with("WARNING: MLflow")
    assert "No result is lost" in warning
    assert "Traceback" not in output.text
    assert clone.hashes() == before


def test_mlflow_shows_what_the_grid_lists_whatever_happened(clone: Clone) -> None:
    assert clone.tracked() == clone.num_runs()
    repeated = clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert len(repeated.lines_with("unchanged")) > len(clone.num_runs())
    assert not repeated.lines_with("logged")
    clone.run("dvc", "repro", "--force", "--single-item", NAIVE)
    assert clone.tracked() == clone.num_runs()
    # A seed less.
    clone.set("problems.four_rooms.cells.naive.published_100.num_seeds", 1)
    before = clone.num_runs()
    assert clone.run("dvc", "repro", NAIVE).stages == [NAIVE]
    assert clone.tracked() == before
    assert before["naive"] == 3
    # A new store, filled from the files, pictures included.
    clone.store.unlink()
    shutil.rmtree(clone.folder / "mlruns")
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == before
    assert len(list((clone.folder / "mlruns").rglob("theta.npy"))) == sum(before.values())
    pictured = [name for name in clone.problems if registry.has(clone.problems[name], "pictures")]
    assert len(pictured) > 1
    drawn = sum(sum(clone.num_runs(problem).values()) for problem in pictured)
    drawn -= clone.num_networks()  # whose prices are those of many days
    assert len(list((clone.folder / "mlruns").rglob("*.png"))) == drawn
    assert not clone.unfinished()
    # Back again: revived or logged anew, and nobody is there twice.
    clone.put_back()
    clone.run(sys.executable, "-m", "pipeline.mlflow_sync")
    assert clone.tracked() == clone.num_runs()


def test_an_experiment_changes_parameters_and_is_listed(clone: Clone) -> None:
    key = "problems.four_rooms.cells.naive.published_100.step_size"
    change = ("--name", "gentle", "--set-param", f"{key}=0.2")
    output = clone.run("dvc", "exp", "run", *change, "evaluate")
    assert sorted(output.stages) == sorted(["grid", NAIVE, "evaluate"])
    shown = clone.run("dvc", "exp", "show", "--csv", "--only-changed").text
    assert "gentle" in shown
    assert key in shown
    assert re.search(r"\b0\.2\b", shown)
    # The experiment's runs stand beside those of the workspace.
    clone.put_back()
    assert clone.tracked() == clone.num_runs()
    clone.run("dvc", "exp", "remove", "gentle")


def test_metrics_and_plots_are_shown(clone: Clone) -> None:
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json").text.splitlines()[-1])
    files = [Path(name) for name in shown[""]["data"]]
    assert {path.parent for path in files} >= {Path("results/metrics/four_rooms")}
    own = {path.name.split("-")[0] for path in files if path.parent.name == "four_rooms"}
    assert set(clone.num_runs("four_rooms")) <= own
    assert all("mean" in entry["data"] for entry in shown[""]["data"].values())
    clone.run("dvc", "plots", "show")
    page = (clone.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "vega" in page
    assert "learning_curves" in page  # the figures are among them


def test_another_step_size_reruns_its_cell_and_what_follows(clone: Clone) -> None:
    key = "problems.four_rooms.cells.naive.published_100.step_size"
    before = clone.summary()
    clone.set(key, 0.1)
    output = clone.run("dvc", "repro")
    assert sorted(output.stages) == sorted(["grid", NAIVE, *AFTER, "figures@four_rooms"])
    assert output.stages.index("evaluate") == 2
    after = clone.summary()
    changed = before["value"].ne(after["value"]) & ~(before["value"].isna() & after["value"].isna())
    assert set(before.loc[changed, "estimator"]) == {"naive"}
    assert set(before.loc[changed, "setting"]) == {
        "env_steps_per_update=100;follower=exact;information=full;temperature=0.003"
    }
    difference = json.loads(clone.run("dvc", "metrics", "diff", "--json").text.splitlines()[-1])
    assert set(difference) == {"results/metrics/four_rooms/naive-published-100.json"}
    plots = clone.run("dvc", "plots", "diff", "HEAD")
    assert (clone.folder / "dvc_plots" / "index.html").exists(), plots.text


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("evaluate", "data/leaders/four_rooms/naive/curves.parquet", cut),
        ("evaluate", "data/leaders/four_rooms/exact/theta.npy", Path.unlink),
        ("followers@four_rooms", "data/environments/four_rooms/metadata.json", Path.unlink),
        ("figures@four_rooms", "data/evaluate/four_rooms/learning_curves.parquet", cut),
        ("gradients@four_rooms", "data/environments/four_rooms/best_theta.npz", cut),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.rpartition("/")[2],
)
def test_a_damaged_file_stops_its_reader_with_one_line(
    clone: Clone, stage: str, name: str, damage: Callable[[Path], None]
) -> None:
    damage(clone.folder / name)
    output = clone.run("dvc", "repro", "--force", "--single-item", stage, status=255)
    assert "Traceback" not in output.text
    (line,) = output.lines_with("error: ")
    assert line.startswith(f"error: {name}: ")
    assert len(line) > len(f"error: {name}: ")


def test_a_damaged_file_is_healed_from_the_cache(clone: Clone) -> None:
    cut(clone.folder / "data/leaders/four_rooms/naive/curves.parquet")
    before = clone.hashes()
    output = clone.run("dvc", "repro")
    assert NAIVE not in output.stages
    assert clone.hashes() != before
    assert clone.run("git", "status", "--porcelain").text == ""
