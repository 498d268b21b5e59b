"""Whether results are stale, in a DVC repository of two stages."""

import os
import shutil
from pathlib import Path

import pytest

from bilevelrl.reporting.page.freshness import UnknownState, stale_stages

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of DVC's tries
DVC_YAML = """
stages:
  first:
    cmd: mkdir -p data && cp code.txt data/big
    deps: [code.txt]
    params: [a.b]
    outs: [data/big]
  second:
    cmd: mkdir -p results && cp data/big results/table.csv
    deps: [data/big, library]
    outs:
      - results/table.csv: {cache: false}
  third:
    cmd: ls data
    deps: [data]
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dvc.repo import Repo

    root = tmp_path_factory.mktemp("repository")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("a: {b: 1e-5, c: 2}\n")
    (root / "code.txt").write_text("one\n")
    (root / "library").mkdir()
    (root / "library" / "part.py").write_text("x = 1\n")
    before = Path.cwd()
    os.chdir(root)
    try:
        with Repo(str(root)) as repo:
            repo.reproduce()
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def project(computed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(computed, tmp_path / "project"))


def test_what_was_just_computed_is_current(project: Path) -> None:
    assert stale_stages(project) == {}


def test_missing_large_outputs_say_nothing(project: Path) -> None:
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    assert stale_stages(project) == {}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("code.txt", "two\n", {"first": ["code.txt"]}),
        ("library/part.py", "x = 2\n", {"second": ["library"]}),
        ("params.yaml", "a: {b: 2e-5, c: 2}\n", {"first": ["a.b"]}),
        ("params.yaml", "a: {c: 2}\n", {"first": ["a.b"]}),
        ("params.yaml", "a: {b: 0.00001, c: 3}\n", {}),
        ("results/table.csv", "by hand\n", {"second": ["results/table.csv"]}),
        ("dvc.yaml", DVC_YAML.replace("cp code.txt", "cp -f code.txt"), {"first": ["command"]}),
    ],
)
def test_what_changed_is_named(
    project: Path, path: str, text: str, expected: dict[str, list[str]]
) -> None:
    (project / path).write_text(text)
    assert stale_stages(project) == expected


def test_a_stage_that_ran_on_other_inputs_is_stale(project: Path) -> None:
    lock = (project / "dvc.lock").read_text()
    first, second = lock.split("  second:")
    (digest,) = {line.split()[-1] for line in first.splitlines() if "md5:" in line}
    other = second.replace(digest, "f" * 32, 1)
    (project / "dvc.lock").write_text(f"{first}  second:{other}")
    assert stale_stages(project) == {"second": ["data/big"]}


def test_without_dvc_nobody_knows(tmp_path: Path, project: Path) -> None:
    with pytest.raises(UnknownState, match=r"dvc\.lock is missing"):
        stale_stages(tmp_path)
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UnknownState, match=r"dvc\.yaml"):
        stale_stages(project)
