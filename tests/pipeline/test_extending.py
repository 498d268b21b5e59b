"""What docs/extending.md promises: an estimator and a problem are added as it says, and run."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from pipeline.profile import merge
from tests.pipeline.clones import ROOT, Clone, make_clone

TEMPLATES = ROOT / "docs" / "templates"
SOURCES = Path("src") / "bilevelrl"
REGISTRATION = SOURCES / "models" / "finite_game" / "settings.py"
REGISTRY = SOURCES / "problems" / "registry.py"


def lines_to_add(path: Path) -> tuple[str, str]:
    """The lines that the page says to add to a file, and the line that they stand before."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"In `{re.escape(str(path))}`:\n\n```\n(.*?)```", text, re.S)
    *new, before = found.splitlines(keepends=True)
    return "".join(new), before


def add(clone: Clone, path: Path) -> None:
    new, before = lines_to_add(path)
    file = clone.folder / path
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, new + before), encoding="utf-8")


def configure(clone: Clone, *names: str) -> None:
    """The templates' parts of params.yaml, and no other cell of the grid."""
    path = clone.folder / "params.yaml"
    content = read_mapping(path)
    for name in names:
        content = merge(content, read_mapping(TEMPLATES / f"{name}.yaml"))
    new = {key for name in names for key in read_mapping(TEMPLATES / f"{name}.yaml")["grid"]}
    content["grid"] = {key: item for key, item in content["grid"].items() if key in new}
    used = {item["problem"] for item in content["grid"].values()}
    content["grid_problems"] = {key: content["grid_problems"][key] for key in sorted(used)}
    write_atomically(path, mapping_text(content).encode())


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone to which both templates were added, and in which everything was computed."""
    clone = make_clone(tmp_path_factory.mktemp("extending") / "clone")
    shutil.copytree(TEMPLATES / "ferry", clone.folder / SOURCES / "problems" / "ferry")
    shutil.copy2(TEMPLATES / "two_sided.py", clone.folder / SOURCES / "models" / "finite_game")
    add(clone, REGISTRATION)
    add(clone, REGISTRY)
    configure(clone, "ferry", "two_sided")
    clone.run("dvc", "repro")
    return clone


def test_an_estimator_is_one_file_and_two_edits_and_a_problem_one_folder_and_two(
    extended: Clone,
) -> None:
    listed = extended.run("git", "status", "--porcelain", "src", "params.yaml", "pipeline").text
    states = {name: state for state, name in (line.split() for line in listed.splitlines())}
    assert states == {
        f"{SOURCES}/models/finite_game/two_sided.py": "??",
        str(REGISTRATION): "M",
        f"{SOURCES}/problems/ferry/": "??",
        str(REGISTRY): "M",
        "params.yaml": "M",
    }
    for path in (REGISTRATION, REGISTRY):
        added = extended.run("git", "diff", "--numstat", str(path)).text.split()[:2]
        assert added[1] == "0"
        assert int(added[0]) <= 3


def test_both_reach_the_tables(extended: Clone) -> None:
    summary = extended.summary()
    assert set(summary["problem"]) == {"ferry", "discrete_toy_r1"}
    assert set(summary["estimator"]) == {"bc_hg", "exact", "two_sided"}
    final = summary[summary["metric"] == "leader_return_mean"].set_index(["estimator", "setting"])
    best = summary.loc[summary["metric"] == "best_known", ["problem", "value"]]
    (known,) = set(best.loc[best["problem"] == "ferry", "value"].round(6))
    exact = final.loc["exact", "value"].iloc[0]
    assert 0.9 * known < exact < known + 1e-6
    watching = [name for _, name in final.index if "information=rewards" in name]
    assert len(watching) == 1
    assert final["value"].notna().all()


def test_both_reach_the_figures_and_mlflow(extended: Clone) -> None:
    drawn = {
        f"{path.parent.name}/{path.stem}"
        for path in (extended.folder / "figures" / "png").rglob("*.png")
    }
    assert {"ferry/learning_curves", "discrete_toy_r1/learning_curves"} <= drawn
    tables = extended.folder / "results" / "tables"
    assert "Two sided" in (tables / "discrete_toy_r1" / "results.md").read_text(encoding="utf-8")
    assert extended.tracked() == {"bc_hg": 6, "exact": 3, "two_sided": 2}
    curves = pd.read_csv(extended.folder / "results" / "plots" / "ferry_smallest_budget.csv")
    assert set(curves["estimator"]) == {"bc_hg_corrected", "exact_corrected"}


def test_what_is_computed_stays(extended: Clone) -> None:
    assert extended.run("dvc", "repro").stages == []
