"""What is installed, from where the package comes, and what `make` says before it installs."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline import installation
from pipeline.installation import LOCKS, complaints, pins

ROOT = Path(__file__).parents[2]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(listed: Iterable[str]) -> set[str]:
    """Names of packages, but for this one, whose extras name one another."""
    return {normalised(Requirement(one).name) for one in listed} - {"bilevelrl"}


def pinned(lock: str) -> dict[str, str]:
    return {
        normalised(name): version for name, version, _ in pins((ROOT / lock).read_text("utf-8"))
    }


def test_what_is_installed_is_what_the_locks_say() -> None:
    assert complaints(ROOT) == []


@pytest.mark.parametrize("name", ["torch", "seaborn", "numpy", "mlflow"])
def test_another_version_is_named_with_what_to_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version
    monkeypatch.setattr(
        installation, "version", lambda one: "0.1" if normalised(one) == name else real(one)
    )
    with pytest.raises(SystemExit) as refusal:
        installation.check_installation(ROOT)
    message = str(refusal.value)
    assert "\n" not in message
    assert f"{name} is 0.1 where" in message
    assert "run `make environment`" in message


def test_both_builds_of_torch_are_the_release_that_is_pinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (release,) = pinned("requirements-torch.txt").values()
    real = metadata.version
    for label, expected in (("", 0), ("+cpu", 0), ("+cu128", 0), (".1", 1), ("rc1", 1)):
        installed = f"{release}{label}"
        monkeypatch.setattr(
            installation,
            "version",
            lambda one, installed=installed: installed if one == "torch" else real(one),
        )
        assert len(complaints(ROOT)) == expected


def test_every_requirement_is_pinned_once() -> None:
    runtime, torch = (pinned(lock) for lock in LOCKS)
    development = pinned("requirements-dev.lock")
    assert not runtime.keys() & development.keys()
    assert not torch.keys() & (runtime.keys() | development.keys())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    library, pipeline = requirements(project["dependencies"]), requirements(extras["pipeline"])
    assert library == {"gymnasium", "numba", "numpy"}
    assert library | pipeline <= runtime.keys()
    assert "bilevelrl[torch]" in extras["pipeline"]
    for extra in ("dask", "dev", "pettingzoo"):
        assert not requirements(extras[extra]) & pipeline
        assert requirements(extras[extra]) <= development.keys()
    assert requirements(extras["examples"]) <= development.keys() | runtime.keys()
    pins_of_all = runtime | torch | development
    for one in map(Requirement, (*project["dependencies"], *itertools.chain(*extras.values()))):
        assert one.name == "bilevelrl" or pins_of_all[normalised(one.name)] in one.specifier
        assert all(part.operator == ">=" for part in one.specifier), "ranges, not pins"


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, check=False
    )


def test_a_python_without_the_packages_is_told_what_to_activate(tmp_path: Path) -> None:
    # As /usr/bin/python does when somebody runs .venv/bin/dvc without having activated .venv.
    for name in ("pipeline", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for lock in LOCKS:
        shutil.copy2(ROOT / lock, tmp_path)
    done = run(tmp_path, sys.executable, "-S", "-m", "pipeline.grid")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {sys.executable}: ")
    assert "is not installed, and" in line
    assert "source .venv/bin/activate" in line


@pytest.mark.parametrize("stage", ["grid", "leaders", "tuning", "mlflow_sync"])
def test_a_stage_runs_the_package_of_its_own_folder(tmp_path: Path, stage: str) -> None:
    # As in `dvc exp run --queue`, where another folder's package is the one that is installed.
    for name in ("pipeline", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for lock in LOCKS:
        shutil.copy2(ROOT / lock, tmp_path)
    records = tmp_path / "src" / "bilevelrl" / "runs/records.py"
    records.write_text("raise RuntimeError('the copy')\n", encoding="utf-8")
    done = run(tmp_path, sys.executable, "-m", f"pipeline.{stage}", "four_rooms", "naive")
    assert done.returncode == 1
    assert "RuntimeError: the copy" in done.stderr


def test_worker_processes_run_the_package_of_their_stage(tmp_path: Path) -> None:
    for name in ("pipeline", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "src" / "bilevelrl" / "probe.py").write_text(
        "from pathlib import Path\nimport bilevelrl\n"
        "def where(task):\n    return str(Path(bilevelrl.__file__).parent)\n",
        encoding="utf-8",
    )
    code = (
        "import pipeline\n"
        "from bilevelrl.runs.runtime import Runtime\n"
        "from bilevelrl.runs.execution import run_tasks\n"
        "from bilevelrl.probe import where\n"
        "own = Runtime(jobs=2, threads=1, backend='loky', dask_scheduler=None)\n"
        "print(*{place for _, place in run_tasks(where, [0, 1, 2], own)})\n"
    )
    done = run(tmp_path, sys.executable, "-c", code)
    assert done.stdout.split() == [str(tmp_path / "src" / "bilevelrl")], done.stderr


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The Makefile and the locks without Git, and an interpreter that is too old."""
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock", *LOCKS):
        shutil.copy2(ROOT / name, tmp_path)
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.13\nexit 1\n')
    old.chmod(0o755)
    return tmp_path


def test_an_old_python_is_refused_before_anything_is_installed(bare: Path) -> None:
    done = run(bare, "make", "environment", f"PYTHON={bare / 'python3.10'}")
    assert done.returncode
    line = done.stderr.splitlines()[0]
    assert line.startswith("error: ")
    assert "Python 3.10.13" in line
    assert "3.11 or newer" in line
    assert not (bare / ".venv").exists()


def fake_environment(folder: Path, python: str) -> Path:
    """A .venv that seems to be installed, whose Python is the program `python`."""
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(python)
    stamp = folder / ".venv" / ".installed"
    stamp.touch()
    os.utime(stamp, (4e9, 4e9))
    return stamp


def test_an_environment_of_the_wrong_python_is_made_anew(bare: Path) -> None:
    stamp = fake_environment(bare, str(bare / "python3.10"))
    tools = bare / "tools"  # stand-ins: nothing is really installed
    tools.mkdir()
    maker = tools / "python3"
    maker.write_text(
        f'#!/bin/sh\nif [ "$1" = -m ]; then mkdir -p .venv/bin; ln -s {sys.executable} '
        ".venv/bin/python; printf '#!/bin/sh\\n' > .venv/bin/pip; chmod +x .venv/bin/pip; "
        f'else exec {sys.executable} "$@"; fi\n'
    )
    maker.chmod(0o755)
    done = run(bare, "make", "environment", f"PYTHON={maker}")
    assert done.returncode == 0, done.stderr
    assert (bare / ".venv" / "bin" / "python").resolve() == Path(sys.executable).resolve()
    assert stamp.exists()
    assert stamp.stat().st_mtime < 4e9


def test_an_environment_that_fits_is_kept(bare: Path) -> None:
    stamp = fake_environment(bare, sys.executable)
    before = stamp.stat().st_mtime
    for python in ((), (f"PYTHON={sys.executable}",)):
        done = run(bare, "make", "environment", *python)
        assert done.returncode == 0, done.stderr
        assert stamp.stat().st_mtime == before


@pytest.mark.parametrize("goal", ["repro", "test", "tuning"])
def test_a_tree_without_git_is_refused_before_anything_is_installed(bare: Path, goal: str) -> None:
    done = run(bare, "make", goal, GIT_CEILING_DIRECTORIES=str(bare.parent))
    assert done.returncode
    assert "is no Git repository" in done.stderr.splitlines()[0]
    assert not (bare / ".venv").exists()


def test_a_machine_without_git_is_told_so(bare: Path) -> None:
    tools = bare / "tools"
    tools.mkdir()
    for name in ("sh", "make"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    done = run(bare, str(tools / "make"), "repro", PATH=str(tools))
    assert done.returncode
    assert "error: git is not installed" in done.stderr.splitlines()[0]
