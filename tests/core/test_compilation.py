"""Compiled kernels are those of the source as it is, wherever their cache lies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bilevelrl.core.provenance import PACKAGE

INNER = """
from bilevelrl.core.compilation import kernel

@kernel
def reward(x):
    return {factor} * x
"""
OUTER = """
from bilevelrl.core.compilation import kernel
from bilevelrl.inner import reward

@kernel
def look_ahead(x):
    return reward(x) + 1.0
"""
CODE = """
import warnings
warnings.simplefilter("ignore")
from bilevelrl.outer import look_ahead
print(look_ahead(3.0), sum(look_ahead.stats.cache_hits.values()))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package of two modules with one kernel each, and the real way to compile them."""
    package = tmp_path / "src" / "bilevelrl"
    names = [
        "__init__.py", "core/__init__.py", "core/compilation.py", "core/provenance.py",
        "problems/__init__.py", "problems/registry.py",
    ]  # fmt: skip
    for name in names:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PACKAGE / name, package / name)
    (package / "inner.py").write_text(INNER.format(factor=2.0))
    (package / "outer.py").write_text(OUTER)
    return tmp_path


def run(project: Path, **environment: str) -> list[str]:
    """What look_ahead(3) is, and how often it came from a cache."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NUMBA", "XDG", "PYTHON"))
    }
    kept |= {"PYTHONPATH": str(project / "src"), **environment}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=kept, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "{tmp}/home"},
        {"HOME": "{tmp}/home", "XDG_CACHE_HOME": "{tmp}/cache"},
        {"HOME": "{tmp}/home", "NUMBA_CACHE_DIR": "{tmp}/numba"},
        {"HOME": "/proc/nohome"},
        {"HOME": "{tmp}/home", "NUMBA_CACHE_DIR": "/proc/nowhere"},
    ],
    ids=["home", "xdg", "numba", "unwritable home", "unwritable numba"],
)
def test_an_edit_in_another_file_reaches_the_kernel_that_calls_it(
    project: Path, environment: dict[str, str]
) -> None:
    environment = {name: value.format(tmp=project) for name, value in environment.items()}
    assert run(project, **environment)[0] == "7.0"
    inner = project / "src" / "bilevelrl" / "inner.py"
    inner.write_text(INNER.format(factor=40.0))  # of another size, or Python runs its own old file
    assert run(project, **environment)[0] == "121.0"
    assert not [*(project / "src").rglob("*.nbi")]  # nothing beside the source


def test_a_second_process_compiles_nothing(project: Path) -> None:
    home = {"HOME": str(project / "home")}
    assert run(project, **home) == ["7.0", "0"]
    assert run(project, **home) == ["7.0", "1"]
    assert [*(project / "home" / ".cache" / "bilevelrl").rglob("*.nbi")]


def test_clones_with_equal_sources_share_what_is_compiled(project: Path) -> None:
    home = {"HOME": str(project / "home")}
    run(project, **home)
    shutil.copytree(project / "src", project / "clone" / "src")
    assert run(project / "clone", **home) == ["7.0", "1"]


def test_an_edit_elsewhere_keeps_what_is_compiled(project: Path) -> None:
    home = {"HOME": str(project / "home")}
    run(project, **home)
    (project / "src" / "bilevelrl" / "elsewhere.py").write_text("x = 1\n")
    assert run(project, **home)[1] == "1"


def test_another_version_of_the_compiler_compiles_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    from bilevelrl.core import provenance

    source = [project / "src" / "bilevelrl" / "outer.py"]
    before = provenance.digest_of(source)
    (project / "src" / "bilevelrl" / "outer.py").write_text("import numba\n" + OUTER)
    with_numba = provenance.digest_of(source)
    real = metadata.version
    for name in ("numba", "llvmlite", "scipy"):
        monkeypatch.setattr(
            metadata, "version", lambda one, name=name: "0" if one == name else real(one)
        )
        assert provenance.digest_of(source) not in (before, with_numba)


def test_a_cache_that_cannot_be_written_is_said_once(project: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    kept |= {"PYTHONPATH": str(project / "src"), "HOME": "/proc/nohome"}
    kept.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", "import bilevelrl.outer"],
        env=kept,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("cache cannot be written") == 1


SUMS = """
import hashlib
import numpy as np
from bilevelrl.models.linear_gaussian import quadratic
numbers = np.random.default_rng(0)
z, y = numbers.standard_normal((2, 3, 400, 6))
found = quadratic.least_squares_td(z, y, numbers.standard_normal((3, 400, 2)), 100, 0.9)
print(hashlib.sha256(found.matrix.tobytes() + found(z).tobytes()).hexdigest())
print(quadratic._normal_equations.targetoptions["parallel"])
"""


def test_one_thread_compiles_plain_loops_with_the_same_bits() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    told = [
        subprocess.run(
            [sys.executable, "-c", SUMS],
            env=kept | {"NUMBA_NUM_THREADS": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for number in ("1", "2")
    ]
    assert [parallel for _, parallel in told] == ["False", "True"]
    assert told[0][0] == told[1][0]
