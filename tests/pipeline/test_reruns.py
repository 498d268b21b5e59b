"""What reruns after a change, as docs/usage.md has it, tried with `dvc repro --dry`."""

import contextlib
import fnmatch
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bilevelrl.runs.yaml_files import read_mapping
from tests.pipeline.clones import TIMEOUT, Clone, make_clone
from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def rows() -> Iterator[tuple[str, list[str]]]:
    """(`key: value`, patterns of stages) of the table; no pattern where nothing reruns."""
    text = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    table = text.partition("<!-- reruns -->")[2].partition("<!-- end -->")[0]
    for line in table.strip().splitlines()[2:]:
        change, stages = (part.strip() for part in line.strip("|").split("|"))
        yield change.strip("`"), re.findall(r"`([^`]+)`", stages)


ROWS = list(rows())


def test_the_table_speaks_of_all_kinds_of_stages() -> None:
    said = " ".join(pattern for _, stages in ROWS for pattern in stages)
    kinds = ("environments", "followers", "leaders", "gradients", "evaluate", "figures@")
    for kind in (*kinds, "comparison"):
        assert kind in said
    assert [change for change, stages in ROWS if not stages]  # and of what changes nothing


def reruns(clone: Clone, *, downstream: bool = True) -> list[str]:
    """What `dvc repro` would run, in this process because starting DVC takes longer than asking.

    Stage `grid`, which every change of params.yaml concerns, is told that it has run: it writes the
    cells only.

    Args:
        clone: where everything has been computed before.
        downstream: whether whatever hangs on a changed stage runs too: its results decide later.
    """
    with warnings.catch_warnings(), contextlib.chdir(clone.folder):
        warnings.simplefilter("ignore")  # of what DVC depends on
        from dvc.repo import Repo

        with Repo() as repo:
            repo.commit("grid", force=True)
            found = repo.reproduce(dry=True, force_downstream=downstream)
            return [stage.addressing for stage in found]


@pytest.mark.parametrize(("change", "patterns"), ROWS, ids=[change for change, _ in ROWS])
def test_a_change_reruns_what_the_page_says(
    computed: Computed, change: str, patterns: list[str]
) -> None:
    clone = computed.dry
    params, lock = clone.folder / "params.yaml", clone.folder / "dvc.lock"
    before = params.read_bytes(), lock.read_bytes()
    try:
        if change != "nothing":
            key, _, value = change.partition(": ")
            block = read_mapping(params)
            for part in key.split("."):
                block = block[part]  # the key exists in the smoke profile too
            clone.set(key, YAML(typ="safe", pure=True).load(value))
        listed = reruns(clone)
    finally:
        params.write_bytes(before[0])
        lock.write_bytes(before[1])
    expected = {
        stage
        for pattern in patterns
        for stage in clone.stages()
        if fnmatch.fnmatchcase(stage, pattern)
    }
    assert set(listed) == expected
    for pattern in patterns:
        assert fnmatch.filter(listed, pattern), pattern


@pytest.mark.parametrize("module", ["gym", "cell"])
def test_a_comment_in_one_problem_reruns_stages_of_that_problem_only(
    computed: Computed, module: str
) -> None:
    clone = computed.dry
    path = clone.folder / "src" / "bilevelrl" / "problems" / "discrete_toy" / f"{module}.py"
    lock = clone.folder / "dvc.lock"
    before = path.read_bytes(), lock.read_bytes()
    try:
        path.write_bytes(before[0] + b"# A comment.\n")
        listed = reruns(clone, downstream=False)
    finally:
        path.write_bytes(before[0])
        lock.write_bytes(before[1])
    own = {name for name in clone.stages() if "@discrete_toy" in name}
    assert {name.partition("@")[0] for name in own} == {
        "environments", "followers", "leaders", "gradients", "figures",
    }  # fmt: skip
    assert set(listed) == own


@pytest.mark.parametrize("way", [["--temp"], ["--queue"]], ids=["temp", "queue"])
def test_an_experiment_elsewhere_runs_its_own_code(tmp_path: Path, way: list[str]) -> None:
    # In a folder that DVC makes: the package that is installed, or that of this folder, is another.
    clone = make_clone(tmp_path / "clone")
    records = clone.folder / "src" / "bilevelrl" / "runs" / "records.py"
    sound = records.read_bytes()
    records.write_bytes(b'raise RuntimeError("the code of the experiment")\n' + sound)
    output = clone.run("dvc", "exp", "run", "--name", "broken", *way, "grid", status=None)
    records.write_bytes(sound)
    if way == ["--queue"]:
        clone.run("dvc", "queue", "start", status=None)
        deadline = time.monotonic() + TIMEOUT
        while "Queued" in (shown := clone.run("dvc", "queue", "status").text) or "Running" in shown:
            assert time.monotonic() < deadline
            time.sleep(1.0)
        output = clone.run("dvc", "queue", "logs", "broken")
        clone.run("dvc", "queue", "stop")
    assert "RuntimeError: the code of the experiment" in output.text
    assert not (clone.folder / "data" / "grid.json").exists()
