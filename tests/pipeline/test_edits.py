"""DVC must not take results of old code or parameters for those of what was edited meanwhile."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0  # seconds, on a busy machine
SCRIPT = """
import time
from pathlib import Path
from pipeline.stage import run_stage

def main():
    Path("started").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    Path("out.txt").write_text(Path("params.yaml").read_text())

run_stage(main)
"""
STAGES = """
stages:
  slow:
    foreach: {one: {key: own}}
    do:
      cmd: python -m pipeline.slow
      deps: [pipeline/slow.py, src/bilevelrl/models/tabular, src/bilevelrl/core/seeding.py]
      params: ["block.${item.key}"]
      outs: [out.txt]
"""
PARAMS = "block:\n  own: {x: 1, y: 2}\n  other: 3\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One stage that runs until a file `go` appears."""
    for name in ("src", "pipeline"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for lock in ROOT.glob("requirements*"):
        shutil.copy2(lock, tmp_path)
    (tmp_path / "pipeline" / "slow.py").write_text(SCRIPT)
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "params.yaml").write_text(PARAMS)
    dvc(tmp_path, "init", "--quiet", "--no-scm").communicate()
    return tmp_path


def dvc(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["dvc", *arguments],
        cwd=folder,
        env=os.environ
        | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_NO_ANALYTICS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def repro(folder: Path, edit: Callable[[Path], object]) -> tuple[int, str]:
    """Status and output of `dvc repro` during which somebody edits."""
    process = dvc(folder, "repro")
    end = time.monotonic() + DEADLINE
    while not (folder / "started").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    edit(folder)
    (folder / "go").touch()
    text, _ = process.communicate(timeout=DEADLINE)
    for name in ("started", "go"):
        (folder / name).unlink()
    return process.returncode, text


def append(name: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text((path.read_text() if path.exists() else "") + "\n# edited\n")

    return edit


def replace(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "params.yaml").write_text(PARAMS.replace(old, new))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (replace("x: 1", "x: 4"), "block.own"),
        (replace(", y: 2", ""), "block.own"),
        (replace("own", "own: {"), "params.yaml"),  # no YAML any more
        (append("src/bilevelrl/core/seeding.py"), "src/bilevelrl/core/seeding.py"),
        (append("src/bilevelrl/models/tabular/new.py"), "src/bilevelrl/models/tabular/new.py"),
    ],
)
def test_what_was_edited_meanwhile_is_named_and_the_stage_is_not_held_for_done(
    project: Path, edit: Callable[[Path], object], named: str
) -> None:
    status, text = repro(project, edit)
    assert status != 0
    said = f"error: {named} changed while this stage ran"
    assert [line for line in text.splitlines() if line.startswith(said)], text
    assert "Traceback" not in text
    assert not (project / "dvc.lock").exists()


def test_edits_of_what_the_stage_does_not_depend_on_do_not_matter(project: Path) -> None:
    def edit(folder: Path) -> None:
        replace("other: 3", "other: 5")(folder)
        append("src/bilevelrl/problems/four_rooms/search.py")(folder)

    status, text = repro(project, edit)
    assert status == 0, text
    assert (project / "dvc.lock").exists()
