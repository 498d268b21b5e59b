"""The loop of docs/experiments.md: its very commands, in a clone of the smoke grid."""

import shlex
import sys
from pathlib import Path

import pytest

from bilevelrl.runs.yaml_files import read_mapping
from bilevelrl.tracking.workspace import clone_name
from tests.pipeline.clones import NAIVE, ROOT, Clone, Output
from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
NAMES = ("step-0.25", "step-1.0", "step-2.0")
#: In the place of commands that wait for a reader or need the network.
INSTEAD = {"make ui": [sys.executable, "-m", "pipeline.mlflow_sync"]}


def commands(section: str) -> list[str]:
    """The commands of a section, without comments."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    return [line.partition("  #")[0].strip() for line in lines]


def run(clone: Clone, command: str) -> Output:
    """What a command of the page prints on a screen of 100 columns."""
    return clone.run(*INSTEAD.get(command, shlex.split(command)), COLUMNS="100")


@pytest.fixture(scope="module")
def clone(computed: Computed) -> Clone:
    """The clone after the first section."""
    for command in commands("Queue, run"):
        run(computed.tried, command)
    return computed.tried


def workspaces(clone: Clone) -> dict[str, int]:
    """How many current runs of Naive-PGD each workspace has, by its name below the clone's."""
    query = (
        "SELECT workspace.value FROM tags AS workspace"
        " JOIN tags AS current USING (run_uuid) JOIN tags AS cell USING (run_uuid)"
        " WHERE workspace.key = 'workspace' AND current.key = 'current' AND current.value = 'true'"
        " AND cell.key = 'cell' AND cell.value = 'four_rooms/naive'"
    )
    names = [name for (name,) in clone.ask_store(query)]
    own = clone_name(clone.folder)
    return {name.removeprefix(own): names.count(name) for name in sorted(set(names))}


def step_size(clone: Clone) -> float:
    """What the working tree says of the cell that was tried."""
    cells = read_mapping(clone.folder / "params.yaml")["problems"]["four_rooms"]["cells"]
    return float(cells["naive"]["published_100"]["step_size"])


def test_three_step_sizes_are_compared_in_100_columns(clone: Clone) -> None:
    shown, metrics, changed, plots, *offline = commands("Compare")
    table = run(clone, shown).text
    assert max(map(len, table.splitlines())) <= 100
    assert "…" not in table
    rows = {name: [line for line in table.splitlines() if f"[{name}]" in line] for name in NAMES}
    means = [float(line.split()[-1]) for (line,) in rows.values()]
    assert len(set(means)) == 3
    printed = run(clone, metrics).text
    assert max(map(len, printed.splitlines())) <= 100
    assert printed.splitlines()[0].split() == ["Path", "mean", "se", "worst"]
    assert len(printed.splitlines()) > 30
    told = run(clone, changed).text
    assert {line.split()[0] for line in told.splitlines()[1:]} == {
        "results/metrics/four_rooms/naive-published-100.json"
    }
    run(clone, plots)
    page = (clone.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert '"rev": "step-1.0"' in page
    # The last of the commands for browsers without a network draws what others fetched for it.
    template = clone.folder / ".work" / "offline.html"
    template.write_text("<script>the scripts</script>{plot_divs}", encoding="utf-8")
    run(clone, offline[-1])
    page = (clone.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "the scripts" in page
    assert "vegaEmbed" in page
    assert "https://cdn" not in page


def test_mlflow_shows_experiments_beside_the_clone_until_one_is_kept(clone: Clone) -> None:
    (ui, *_) = commands("See it in MLflow")
    run(clone, ui)
    own = clone.num_runs("four_rooms")["naive"]
    assert workspaces(clone) == {"": own} | {f"/{name}": own for name in NAMES}
    before = step_size(clone)
    apply, repro, *rest = commands("Keep the best")
    run(clone, apply)
    assert step_size(clone) == 1.0 != before
    assert NAIVE not in run(clone, repro).stages
    for command in rest:
        run(clone, command)
    assert workspaces(clone) == {"": own}
    assert "larger-steps" in clone.run("git", "branch").text
    assert "step-" not in clone.run("dvc", "exp", "list").text
    assert step_size(clone) == 1.0
    assert not clone.run("git", "status", "--short").text


def test_the_page_has_no_other_commands() -> None:
    known = {"dvc", "git", "make", "pip", "PYTHONPATH=.work/vega", "tags.current"}
    found = [line.split()[0] for line in PAGE.splitlines() if line.startswith("    ")]
    assert known == set(found)


def test_the_names_of_the_page_say_the_step_sizes() -> None:
    queued = [command for command in commands("Queue, run") if "--queue" in command]
    said = [(each.split()[5], each.split("=")[-1].split()[0]) for each in queued]
    assert said == [(name, name.removeprefix("step-")) for name in NAMES]
    assert Path(ROOT / "docs" / "index.md").read_text(encoding="utf-8").count("experiments") >= 2
