"""Stage `evaluate` where seeds are few, runs failed or nobody knows the best J."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bilevelrl.runs.params import Params
from bilevelrl.runs.records import CURVE_COLUMNS, Cell
from bilevelrl.runs.table_files import write_json
from pipeline import comparison, evaluate, figures
from tests.pipeline.made_up import (
    CHARGE_NOTHING,
    FINAL,
    MAIN,
    figures_of,
    write_cartpole,
    write_cell,
    write_project,
)


def test_failed_runs_are_among_the_headlines(params: Params, project: Path) -> None:
    folder = project / "data" / "leaders" / "four_rooms" / "bc_hg"
    before = headlines(params, project)
    assert pd.read_csv(project / "results" / "failed_runs.csv").empty
    assert not any("failed" in content for content in before.values())
    cell = Cell.read(folder)
    failed = cell.runs[-1]
    runs = (*cell.runs[:-1], replace(failed, failure="loss 1e30"))
    curves = cell.curves.copy()
    own = (curves["setting"] == failed.setting) & (curves["seed"] == failed.seed)
    own &= curves["variant"] == failed.variant
    measured = [name for name, kind in CURVE_COLUMNS.items() if kind == "float64"]
    curves.loc[own, measured] = np.nan
    theta = cell.theta.copy()
    theta[-1] = np.nan
    Cell(runs, theta, curves).write(folder)
    # The failed run belongs to a study; of the main comparison nothing changes.
    assert headlines(params, project) == before
    (row,) = pd.read_csv(project / "results" / "failed_runs.csv").to_dict("records")
    assert row == {
        "problem": "four_rooms", "estimator": "bc_hg", "variant": failed.variant,
        "setting": failed.setting, "seed": failed.seed, "reason": "loss 1e30",
    }  # fmt: skip
    table = pd.read_csv(project / "results" / "summary.csv")
    found = table[(table["setting"] == failed.setting) & (table["variant"] == failed.variant)]
    own = found[found["estimator"] == "bc_hg"].set_index("metric")
    assert own.loc["failed_runs", "value"] == 1.0
    # Nine of ten are no result; three of four were "middle" runs before.
    for name in ("mean", "se", "final_iqm", "median", "final_worst", "worst_seed",
                 "optimal_mean", "optimal_worst"):  # fmt: skip
        assert own.loc[f"leader_return_{name}", ["value", "low", "high"]].isna().all()
    figures.main("four_rooms", params, project)
    told = (project / "results" / "tables" / "four_rooms" / "studies.md").read_text()
    assert "| – | – | – | 1 of 4 |" in told


def headlines(params: Params, project: Path) -> dict[str, Any]:
    evaluate.main(params, project)
    folder = project / "results" / "metrics"
    return {
        str(path.relative_to(folder)): json.loads(path.read_text())
        for path in sorted(folder.rglob("*.json"))
    }


def test_headline_metrics_are_a_small_file_per_setting(params: Params, project: Path) -> None:
    gone = project / "results" / "metrics" / "four_rooms" / "sobirl-published-100.json"
    write_json(gone, {"mean": 1.0})
    found = headlines(params, project)
    assert set(found) == {
        "four_rooms/bc_hg-corrected-100.json", "four_rooms/bc_hg-published-100.json",
        "four_rooms/exact-published.json", "four_rooms/hpgd_mc-published-100.json",
    }  # fmt: skip
    assert found["four_rooms/bc_hg-published-100.json"] == {
        "mean": pytest.approx(np.mean(FINAL), abs=1e-6),
        "se": pytest.approx(np.std(FINAL, ddof=1) / 2.0, abs=1e-6),
        "worst": CHARGE_NOTHING,
    }
    assert found["four_rooms/exact-published.json"]["mean"] == pytest.approx(CHARGE_NOTHING)


def test_one_seed_has_no_interval_anywhere(params: Params, project: Path) -> None:
    for estimator, final in (("bc_hg", 0.4), ("hpgd_mc", 0.2), ("exact", CHARGE_NOTHING)):
        write_cell(project, estimator, {("published", MAIN): [final]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate.main(params, project)
    results = project / "results"
    table = pd.read_csv(results / "summary.csv").set_index("metric")
    shares = table.index.str.contains("fraction")
    assert table.loc[~shares, ["low", "high"]].isna().all(axis=None)
    assert table.loc[shares, ["low", "high"]].notna().all(axis=None)  # that of one trial
    assert table.loc["leader_return_se", "value"].isna().all()
    assert table.loc["leader_return_mean", "value"].notna().all()
    curves = pd.read_csv(results / "curves.csv")
    assert curves["iqm"].notna().all()
    assert curves[["low", "high", "standard_error"]].isna().all(axis=None)
    better = pd.read_csv(results / "improvement.csv")
    ends = [f"{name}{end}" for name in ("", "mean_difference_") for end in ("low", "high")]
    assert better[ends].isna().all(axis=None)
    compared = pd.read_csv(results / "against_published.csv")
    assert len(compared) == 2
    unknown = ["ours_standard_error", "z", "within_3_se"]
    assert compared[unknown].isna().all(axis=None)
    along = pd.read_csv(results / "curve_agreement.csv")
    assert along["largest_z"].isna().all()
    (content, *_) = headlines(params, project).values()
    assert "se" not in content
    figures.main("four_rooms", params, project)
    tables = results / "tables" / "four_rooms"
    for path in sorted(tables.iterdir()):
        told = path.read_text()
        assert "nan" not in told
        assert "0.400 ±" not in told
        assert "0.400 [" not in told
    assert (
        "| 0.003 | BC-HG | 0.400 |"
        in (results / "tables" / "four_rooms" / "results_mean.md").read_text()
    )


def test_a_problem_without_ground_truth_is_measured_by_its_return(
    params: Params, tmp_path: Path
) -> None:
    write_project(tmp_path)
    write_cartpole(tmp_path)
    levels = params.evaluate.model_copy(update={"return_thresholds": {"guided_cartpole": (0.4,)}})
    params = params.model_copy(update={"evaluate": levels})
    evaluate.main(params, tmp_path)
    table = pd.read_csv(tmp_path / "results" / "summary.csv").set_index("metric")
    assert set(table["problem"]) == {"guided_cartpole"}
    assert table.loc["leader_return_mean", "value"] == pytest.approx(np.mean(FINAL))
    assert table.loc["leader_return_median", "value"] == pytest.approx(np.median(FINAL))
    assert table.loc["env_steps_to_return_0.4", "value"] > 0.0
    assert "best_known" not in table.index
    assert not any(name.endswith("_percent") for name in table.index)
    ((name, content),) = headlines(params, tmp_path).items()
    assert name == "guided_cartpole/bc_hg-improved-100.json"
    assert content["mean"] == pytest.approx(np.mean(FINAL), abs=1e-6)
    figures.main("guided_cartpole", params, tmp_path)
    drawn = {path.stem for path in (tmp_path / "figures" / "png" / "guided_cartpole").iterdir()}
    assert set(figures_of("guided_cartpole")) == drawn
    comparison.main(params.returns, tmp_path)
