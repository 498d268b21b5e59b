"""Stages `evaluate` and `figures` on a small synthetic project with known answers."""

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.problems import registry
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import CURVE_COLUMNS, SUMMARY_COLUMNS, Cell
from bilevelrl.runs.table_files import CorruptRecord, write_json
from pipeline import comparison, evaluate, figures
from tests.pipeline.made_up import (
    CHARGE_NOTHING,
    EXACT,
    FINAL,
    LEARNING,
    MAIN,
    ROOT,
    TRUNCATED,
    UPDATES,
    write_cartpole,
    write_cell,
    write_project,
)

#: Drawn once, of all problems together.
SHARED = {
    "information_levels", "information_errors", "follower_accuracy", "total_samples",
    "follower_learning",
}  # fmt: skip


@pytest.fixture(scope="module")
def params() -> Params:
    options = EvaluateParams(
        confidence=0.95,
        thresholds=(0.5, 0.9),
        return_thresholds={},
        published_updates=(),
        stuck_radius=0.05,
        final_fraction=0.1,
    )
    return read_params(ROOT / "params.yaml").model_copy(update={"evaluate": options})


@pytest.fixture(scope="module")
def evaluated(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    evaluate.main(params, root)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def names_of(problem: str) -> tuple[str, ...]:
    """Figures of a problem whose folder has its name."""
    names: tuple[str, ...] = registry.part(problem, "figures").names()
    return names


def metric(
    summary: pd.DataFrame,
    name: str,
    setting: str = MAIN,
    estimator: str = "bc_hg",
    variant: str = "published",
) -> pd.Series:
    chosen = summary[
        (summary["metric"] == name)
        & (summary["setting"] == setting)
        & (summary["estimator"] == estimator)
        & (summary["variant"] == variant)
    ]
    assert len(chosen) == 1, f"{name} of {estimator}/{variant} at {setting}: {len(chosen)} rows"
    return chosen.iloc[0]


def contents(root: Path) -> dict[str, bytes]:
    folders = ("results", "figures", "data/evaluate")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def summary(evaluated: Path) -> pd.DataFrame:
    return pd.read_csv(evaluated / "results" / "summary.csv")


def test_summary_has_the_columns_of_the_contract_in_a_fixed_order(summary: pd.DataFrame) -> None:
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    key = ["problem", "estimator", "variant", "setting", "metric"]
    assert not summary.duplicated(key).any()
    assert summary[key].apply(tuple, axis=1).is_monotonic_increasing


def test_summary_has_the_known_answers(summary: pd.DataFrame) -> None:
    mean = metric(summary, "leader_return_mean")
    assert mean["value"] == pytest.approx(np.mean(FINAL))
    assert mean["low"] < mean["value"] < mean["high"]
    assert mean["seeds"] == 4
    assert metric(summary, "leader_return_se")["value"] == pytest.approx(
        np.std(FINAL, ddof=1) / 2.0
    )
    assert metric(summary, "leader_return_final_iqm")["value"] == pytest.approx(0.45)
    assert metric(summary, "best_known")["value"] == 0.6
    assert metric(summary, "best_known", variant="corrected")["value"] == 0.55
    assert metric(summary, "published_mean")["value"] == pytest.approx(0.5453, abs=1e-4)


def test_stuck_fraction_has_the_interval_of_a_proportion(summary: pd.DataFrame) -> None:
    stuck = metric(summary, "stuck_fraction")
    assert stuck["value"] == 0.25
    assert stuck["low"] == pytest.approx(0.0063, abs=1e-4)
    assert stuck["high"] == pytest.approx(0.8059, abs=1e-4)
    assert metric(summary, "stuck_fraction", variant="corrected")["value"] == 1.0


def test_thresholds_are_fractions_of_the_best_known_return(summary: pd.DataFrame) -> None:
    # Three of four seeds reach 0.3 in the first window after update 50; one reaches 0.54.
    assert metric(summary, "env_steps_to_50_percent")["value"] == 5400.0
    assert metric(summary, "fraction_at_50_percent")["value"] == 0.75
    assert metric(summary, "fraction_at_50_percent")["low"] < 0.5
    assert np.isnan(metric(summary, "env_steps_to_50_percent_worst")["value"])  # one never arrives
    assert np.isnan(metric(summary, "env_steps_to_90_percent")["value"])
    assert metric(summary, "fraction_at_90_percent")["value"] == 0.25


def test_truncated_follower_has_its_own_metrics(summary: pd.DataFrame) -> None:
    optimal = metric(summary, "leader_return_optimal_mean", TRUNCATED)
    assert optimal["value"] == pytest.approx(np.mean(FINAL) + 0.1)
    worst = metric(summary, "leader_return_optimal_worst", TRUNCATED)
    assert worst["value"] == pytest.approx(CHARGE_NOTHING + 0.1)
    assert metric(summary, "leader_return_final_worst", TRUNCATED)["value"] == CHARGE_NOTHING
    assert metric(summary, "failed_runs", TRUNCATED)["value"] == 0.0
    assert metric(summary, "follower_kl", TRUNCATED)["value"] == 0.25
    assert metric(summary, "follower_accuracy_max", TRUNCATED)["value"] == 0.5
    for name in ("leader_return_optimal_mean", "follower_accuracy_max"):
        studied = summary[summary["metric"] == name]["setting"]
        assert set(studied) == {TRUNCATED, LEARNING}


def test_every_setting_says_what_its_follower_costs_and_loses(summary: pd.DataFrame) -> None:
    settings = summary[["estimator", "variant", "setting"]].drop_duplicates()
    assert len(settings) == 6
    for estimator, variant, setting in settings.itertuples(index=False):

        def of(name: str) -> pd.Series:
            return metric(summary, name, setting, estimator, variant)  # noqa: B023

        seeds = of("leader_return_mean")["seeds"]
        # The cosine is of all updates, the gap of the last tenth.
        assert of("cosine_mean")["value"] == pytest.approx(0.4)
        assert of("follower_kl")["value"] == 0.25
        assert of("follower_value_gap")["value"] == pytest.approx(0.01 * (1 + seeds) / 2)
        learned = setting == LEARNING
        assert of("follower_steps")["value"] == (2.5 * 50 * 100 if learned else 0.0)
        gap = of("follower_value_gap")
        assert gap["low"] < gap["value"] < gap["high"]


def test_learning_followers_are_summarised_over_seeds(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "followers.csv").set_index("steps")
    assert set(table["problem"]) == {"four_rooms"}
    assert set(table["follower"]) == {"soft_q"}
    assert table["seeds"].tolist() == [3, 3]
    for steps, scale in ((200, 1.0), (1000, 0.1)):
        for name, factor in (("value_gap", 1.0), ("relative_gap", 0.1), ("kl", 2.0)):
            told = ("median", "min", "max", "mean")
            found = [table.loc[steps, f"{name}_{which}"] for which in told]
            assert found == pytest.approx([scale * factor * each for each in (4.0, 1.0, 10.0, 5.0)])
    assert table["failed"].tolist() == [0, 0]


def test_a_follower_without_a_result_is_counted(params: Params, project: Path) -> None:
    path = project / "data" / "followers" / "four_rooms" / "learning.csv"
    learned = pd.read_csv(path)
    learned.loc[0, "kl"] = np.nan  # of 200 steps
    learned.to_csv(path, index=False)
    evaluate.main(params, project)
    table = pd.read_csv(project / "results" / "followers.csv").set_index("steps")
    assert table["failed"].tolist() == [1, 0]
    assert table.loc[200, ["kl_median", "kl_min", "kl_max", "kl_mean"]].isna().all()
    assert table.loc[1000].notna().all()
    comparison.main(params, project)


def test_errors_of_watching_leaders_have_means_and_slopes(evaluated: Path) -> None:
    path = evaluated / "results" / "information_errors.csv"
    table = pd.read_csv(path, keep_default_na=False).set_index(["information", "env_steps"])
    assert set(table["belief"]) == {""}
    assert table["slope"].tolist() == pytest.approx([-0.5] * 6)
    assert table.loc[("actions", 400), "error"] == pytest.approx(3.0 * 2.0 / 20.0)
    assert table.loc[("full", 1600), "standard_error"] == pytest.approx(1.0 / 40.0)
    # Two seeds: half their distance is the standard error of their mean.
    expected = 0.5 * np.sqrt(2.0) / (2.0 * np.log(4.0))
    assert table["slope_error"].tolist() == pytest.approx([expected] * 6, rel=1e-5)


def test_failed_runs_are_among_the_headlines(params: Params, project: Path) -> None:
    folder = project / "data" / "leaders" / "four_rooms" / "bc_hg"
    before = headlines(params, project)
    assert pd.read_csv(project / "results" / "failed_runs.csv").empty
    assert {content["failed"] for content in before.values()} == {0}
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


def test_published_mean_is_there_only_where_something_is_published(summary: pd.DataFrame) -> None:
    published = summary[summary["metric"] == "published_mean"]
    listed = published[["estimator", "variant", "setting"]].apply(tuple, axis=1)
    assert set(listed) == {("bc_hg", "published", MAIN), ("hpgd_mc", "published", MAIN)}


def test_improvement_compares_like_with_like(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "improvement.csv")
    published = table[(table["variant"] == "published") & (table["setting"] == MAIN)]
    probability = published.set_index("theirs")["probability"]
    assert probability["hpgd_mc"] == 0.75
    assert probability["exact"] == pytest.approx((3 + 0.5) / 4)  # matches every budget
    assert (table["theirs"] != "bc_hg").all()
    assert not (table["variant"] == "corrected").any()  # nobody to compare with in this grid


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
        "standard_error": pytest.approx(np.std(FINAL, ddof=1) / 2.0, abs=1e-6),
        "worst": CHARGE_NOTHING,
        "failed": 0,
        "seeds": 4,
        "stuck": 0.25,
        "best_known": 0.6,
    }
    assert found["four_rooms/exact-published.json"]["mean"] == pytest.approx(CHARGE_NOTHING)
    assert found["four_rooms/bc_hg-corrected-100.json"]["best_known"] == 0.55


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
    assert "standard_error" not in content
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


def test_tracked_curves_show_the_main_comparison(evaluated: Path) -> None:
    curves = pd.read_csv(evaluated / "results" / "curves.csv")
    assert list(curves.columns) == [
        "problem", "estimator", "variant", "budget", "update", "env_steps", "iqm", "low", "high",
        "mean", "standard_error", "worst", "failed", "seeds",
    ]  # fmt: skip
    ours = curves[(curves["estimator"] == "bc_hg") & (curves["variant"] == "published")]
    assert ours["update"].tolist() == UPDATES.tolist()
    assert ours["iqm"].iloc[0] == -0.7
    assert ours["iqm"].iloc[-1] == pytest.approx(0.45)
    vary = curves["standard_error"] > 1e-9  # runs that all end alike have no interval
    assert (curves["low"].notna() == vary).all()
    assert 0 < vary.sum() < len(vary)
    known = curves[vary]
    assert ((known["low"] <= known["iqm"]) & (known["iqm"] <= known["high"])).all()


def test_second_run_writes_the_same_bytes(params: Params, evaluated: Path) -> None:
    before = contents(evaluated)
    evaluate.main(params, evaluated)
    assert contents(evaluated) == before


def test_a_folder_that_left_the_grid_is_ignored(params: Params, project: Path) -> None:
    evaluate.main(params, project)
    before = contents(project)
    stale = project / "data" / "leaders" / "four_rooms" / "sobirl"
    stale.mkdir()
    (stale / "curves.parquet").write_text("left behind by a larger grid")
    evaluate.main(params, project)
    assert contents(project) == before


def test_rows_keep_their_interval_when_another_cell_goes(params: Params, project: Path) -> None:
    evaluate.main(params, project)
    before = pd.read_csv(project / "results" / "summary.csv")
    write_json(
        project / "data" / "grid.json",
        {"cells": [{"problem": "four_rooms", "estimator": "bc_hg"}]},
    )
    evaluate.main(params, project)
    after = pd.read_csv(project / "results" / "summary.csv")
    kept = before[before["estimator"] == "bc_hg"].reset_index(drop=True)
    pd.testing.assert_frame_equal(after, kept)


@pytest.mark.parametrize(
    "name",
    [
        "data/grid.json",
        "data/leaders/four_rooms/bc_hg/curves.parquet",
        "data/leaders/four_rooms/bc_hg/theta.npy",
        "data/leaders/four_rooms/hpgd_mc/runs.json",
        "data/environments/four_rooms/metadata.json",
        "data/environments/four_rooms/starts.csv",
        "data/gradients/four_rooms/quality.parquet",
        "data/gradients/four_rooms/information.csv",
        "data/gradients/four_rooms/directions.csv",
        "data/followers/four_rooms/learning.csv",
        "reference/four_rooms_curves.csv",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_bad_input_is_named(params: Params, project: Path, name: str, damage: str) -> None:
    path = project / name
    if damage == "corrupt":
        path.write_bytes(path.read_bytes()[:7])
    elif name.startswith("reference"):
        return  # a problem without published curves has no such file
    else:
        path.unlink()
    with pytest.raises(CorruptRecord, match=path.name):
        evaluate.main(params, project)


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
    assert "best_known" not in content
    figures.main("guided_cartpole", params, tmp_path)
    drawn = {path.stem for path in (tmp_path / "figures" / "png" / "guided_cartpole").iterdir()}
    assert set(names_of("guided_cartpole")) == drawn
    comparison.main(params, tmp_path)


def test_a_setting_without_a_baseline_is_named(params: Params, project: Path) -> None:
    write_cell(project, "bc_hg", {("published", MAIN.replace("0.003", "0.005")): FINAL})
    with pytest.raises(CorruptRecord, match=r"variant published at temperature 0\.005"):
        evaluate.main(params, project)


def test_a_cell_in_the_wrong_folder_is_named(params: Params, project: Path) -> None:
    leaders = project / "data" / "leaders" / "four_rooms"
    shutil.copytree(leaders / "hpgd_mc", leaders / "exact", dirs_exist_ok=True)
    with pytest.raises(CorruptRecord, match="expected rows of four_rooms/exact"):
        evaluate.main(params, project)


def test_runs_that_recorded_different_updates_are_named(params: Params, project: Path) -> None:
    folder = project / "data" / "leaders" / "four_rooms" / "hpgd_mc"
    cell = Cell.read(folder)
    Cell(cell.runs, cell.theta, cell.curves.iloc[1:]).write(folder)
    with pytest.raises(CorruptRecord, match="four_rooms/hpgd_mc"):
        evaluate.main(params, project)


def test_exact_ascent_is_summarised_by_kind_of_start(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "exact_ascent.csv")
    row = table.set_index(["variant", "kind"]).loc[("published", "structured")]
    assert row["starts"] == 3
    assert row["stuck_fraction"] == pytest.approx(1 / 3)
    assert row["fraction_at_50_percent"] == pytest.approx(2 / 3)  # best known is 0.6
    assert row["fraction_at_90_percent"] == pytest.approx(1 / 3)
    assert row["median_return"] == 0.4
    assert row["best_return"] == 0.55
    assert row["mean_return"] == pytest.approx((CHARGE_NOTHING + 0.4 + 0.55) / 3)
    assert row["worst_return"] == CHARGE_NOTHING
    assert row["failed"] == 0


def test_figures_stage_writes_every_name_even_without_its_study(
    params: Params, evaluated: Path
) -> None:
    figures.main("four_rooms", params, evaluated)
    comparison.main(params, evaluated)
    own = [f"four_rooms/{name}" for name in names_of("four_rooms")]
    for name in (*own, *(f"comparison/{name}" for name in SHARED)):
        assert (evaluated / "figures" / "png" / f"{name}.png").stat().st_size > 1000
        assert (evaluated / "figures" / "pdf" / f"{name}.pdf").stat().st_size > 1000
    tables = evaluated / "results" / "tables" / "four_rooms"
    assert "| 0.003 | BC-HG | 0.375 ± 0.131 |" in (tables / "results_mean.md").read_text()
    assert "BC-HG" in (tables / "against_published.tex").read_text()


def test_further_temperatures_get_figures_of_their_own(params: Params, project: Path) -> None:
    hotter = MAIN.replace("0.003", "0.005")
    write_cell(
        project,
        "bc_hg",
        {("published", MAIN): FINAL, ("published", hotter): FINAL, ("published", TRUNCATED): FINAL},
    )
    metadata = project / "data" / "environments" / "four_rooms" / "metadata.json"
    content = json.loads(metadata.read_text())
    content["entries"] += [entry | {"temperature": 0.005} for entry in content["entries"]]
    write_json(metadata, content)
    block = params.block("four_rooms")
    search = block.search.model_copy(update={"temperatures": (0.005, 0.003)})
    problems = {**params.problems, "four_rooms": block.model_copy(update={"search": search})}
    params = params.model_copy(update={"problems": problems})
    evaluate.main(params, project)
    figures.main("four_rooms", params, project)
    drawn = {path.stem for path in (project / "figures" / "png" / "four_rooms").glob("*.png")}
    further = (
        "learning_curves_updates",
        "learning_curves_env_steps",
        "final_return",
        "penalty_maps",
    )
    assert drawn == {
        *names_of("four_rooms"),
        *(f"{name}_temperature_0.003" for name in further),
    }
    # The study was made at the second temperature only, and still fills the plain name.
    sizes = [
        (project / "figures" / "png" / "four_rooms" / f"{n}.png").stat().st_size
        for n in ("truncated_follower", "initial_spread")
    ]
    assert sizes[0] > 2 * sizes[1]


def test_the_default_of_the_spread_study_is_that_of_the_training(
    params: Params, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = MAIN.replace("full;", "full;initial_spread=3.0;")
    write_cell(project, "bc_hg", {("published", MAIN): FINAL, ("published", wide): FINAL})
    block = params.block("four_rooms")
    training = block.training.model_copy(update={"initial_spread": 0.02})
    problems = {**params.problems, "four_rooms": block.model_copy(update={"training": training})}
    evaluate.main(params, project)
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: drawn.update({name: figure}))
    figures.main("four_rooms", params.model_copy(update={"problems": problems}), project)
    for ax in drawn["four_rooms/initial_spread"].axes:
        (line,) = (container.lines[0] for container in ax.containers)  # type: ignore[attr-defined]
        assert line.get_xdata() == pytest.approx([0.02, 3.0])


def test_maps_of_all_leaders_are_stacked(evaluated: Path) -> None:
    maps = pd.read_parquet(evaluated / "data" / "evaluate" / "four_rooms" / "penalty_maps.parquet")
    assert set(maps[["estimator", "variant", "setting"]].itertuples(index=False, name=None)) == {
        ("bc_hg", "published", MAIN), ("bc_hg", "corrected", MAIN), ("hpgd_mc", "published", MAIN),
        ("exact", "published", EXACT),
    }  # fmt: skip
    assert set(maps["seed"]) == {0}
