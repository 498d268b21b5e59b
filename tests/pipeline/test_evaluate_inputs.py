"""Stage `evaluate` reads what the grid lists, and names what is wrong with it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.runs.params import Params
from bilevelrl.runs.records import Cell
from bilevelrl.runs.table_files import CorruptRecord, write_json
from pipeline import evaluate
from tests.pipeline.made_up import (
    EXACT,
    FINAL,
    MAIN,
    write_cell,
)


def contents(root: Path) -> dict[str, bytes]:
    folders = ("results", "figures", "data/evaluate")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


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


def test_maps_of_all_leaders_are_stacked(evaluated: Path) -> None:
    maps = pd.read_parquet(evaluated / "data" / "evaluate" / "four_rooms" / "penalty_maps.parquet")
    assert set(maps[["estimator", "variant", "setting"]].itertuples(index=False, name=None)) == {
        ("bc_hg", "published", MAIN), ("bc_hg", "corrected", MAIN), ("hpgd_mc", "published", MAIN),
        ("exact", "published", EXACT),
    }  # fmt: skip
    assert set(maps["seed"]) == {0}
