"""`make repro` says what it is about to do, trains what is missing and hands over to DVC."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bilevelrl.runs.ahead import Work, missing_work
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.forecast import Forecast
from bilevelrl.runs.params import read_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from pipeline import repro
from pipeline.profile import merge
from pipeline.repro import announcement, stages
from pipeline.stage import FORECAST, run_stage
from tests.pipeline.clones import ROOT

PARAMS = read_params(ROOT / "params.yaml")


def test_the_stages_are_those_of_dvc() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert sorted(stages(PARAMS)) == sorted(listed)


def test_one_line_says_what_is_to_do_and_how_long_that_may_take() -> None:
    forecast = Forecast({("four_rooms", "naive", "x"): 1.0}, {"grid": 60.0, "evaluate": 120.0})
    work = Work((), (), known=1911)
    assert "0 runs to train, 1911 known" in announcement(PARAMS, work, forecast, fresh=False)
    assert announcement(PARAMS, work, forecast, fresh=True).endswith(
        f"about 3 min with {PARAMS.runtime.jobs} processes"
    )
    assert "about" not in announcement(PARAMS, work, Forecast(), fresh=True)


def small(folder: Path) -> None:
    """One cell whose runs take no time."""
    content = read_mapping(ROOT / "params.yaml")
    cell = {"problem": "discrete_toy_r1", "kind": "discrete_toy", "estimator": "exact"}
    content["grid"] = {"discrete_toy_r1-exact": cell}
    content["grid_problems"] = {"discrete_toy_r1": {"kind": "discrete_toy"}}
    change = {
        "problems": {"discrete_toy_r1": {"training": {"num_updates": 3}}},
        "runtime": {"jobs": 1},
    }
    (folder / "params.yaml").write_text(mapping_text(merge(content, change)), encoding="utf-8")


@pytest.mark.parametrize("status", [0, 5])
def test_dvc_finds_all_runs_and_its_status_is_passed_on(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small(tmp_path)
    monkeypatch.setenv("BILEVELRL_WORK", str(tmp_path / "work"))
    missing = []

    def dvc(folder: Path, settings: dict[str, str]) -> int:
        params, cache = read_params(folder / "params.yaml"), ResultCache(tmp_path / "work" / "runs")
        missing.append(missing_work(params, cache, Forecast()).missing)
        return status

    monkeypatch.setattr(repro, "reproduce", dvc)
    if status:
        with pytest.raises(SystemExit) as ended:
            repro.main(tmp_path)
        assert ended.value.code == status
    else:
        repro.main(tmp_path)
    assert missing == [0]
    assert "1 problems, 1 cells: 10 runs to train, 0 known" in capsys.readouterr().out


def test_a_stage_says_what_is_left_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FORECAST, json.dumps({"grid": 60.0, "evaluate": 120.0, "comparison": 60.0}))
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    run_stage(lambda: None)
    assert capsys.readouterr().out == "stage 2 of 3, about 3 min left\n"
    monkeypatch.setenv("DVC_STAGE", "figures@lake")
    run_stage(lambda: None)
    assert capsys.readouterr().out == ""


def test_a_first_look_trains_runs_of_the_default_grid_and_of_every_problem(tmp_path: Path) -> None:
    content = merge(
        read_mapping(ROOT / "params.yaml"), read_mapping(ROOT / "profiles" / "quick.yaml")
    )
    path = tmp_path / "params.yaml"
    path.write_text(mapping_text(content), encoding="utf-8")
    quick, none = read_params(path), ResultCache(tmp_path)
    keys, own = (
        {run.key for each in missing_work(grid, none, Forecast()).chunks for run in each.runs}
        for grid in (PARAMS, quick)
    )
    assert own <= keys
    assert len(own) < 0.1 * len(keys)
    assert quick.grid_problems == PARAMS.grid_problems
