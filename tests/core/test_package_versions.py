"""Versions of packages in the key of a run."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bilevelrl.core import provenance
from bilevelrl.core.provenance import (
    PACKAGE,
    source_closure,
    third_party,
)
from bilevelrl.problems.registry import KINDS
from tests.core.digests import digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that the digests are taken of."""
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    return copy


#: What takes part in a run of each kind of problem, besides what the test's own process needs.
PACKAGES = {
    "four_rooms": {"numba", "llvmlite", "numpy", "scipy"},
    "discrete_toy": {"numba", "llvmlite", "numpy", "scipy"},
    "bilevel_lqr": {"numba", "numpy", "scipy", "gymnasium"},
    "thermal_control": {"numba", "numpy", "scipy", "torch", "gymnasium"},
    "guided_cartpole": {"numba", "numpy", "scipy", "torch", "gymnasium"},
    "tolls": {"numba", "numpy", "scipy"},
    "escape_room": {"numba", "numpy"},
    "home_battery": {"numba", "numpy"},
}  # fmt: skip


def test_every_kind_says_which_packages_it_runs() -> None:
    assert PACKAGES.keys() == {*KINDS}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in PACKAGES.items() for name in sorted(names)],
)
def test_another_version_of_a_package_that_runs_changes_the_digest(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(kind)
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda package: "0.0" if package == name else real(package),
    )
    assert digest(kind) != before


def test_a_package_that_runs_in_no_run_changes_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda package: "0.0" if package in ("mlflow", "dvc", "ruff", "torch") else real(package),
    )
    assert digest() == before


def test_every_third_party_module_that_a_run_loads_is_in_its_key() -> None:
    # An independent count: what Python itself has loaded after building nothing but the cell.
    code = (
        "import sys, bilevelrl.runs.chunks\n"
        "bilevelrl.runs.chunks.cell_of('thermal_control')\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    known = third_party(
        [*source_closure(PACKAGE / "problems/thermal_control/cell.py"), PACKAGE / "runs/chunks.py"]
    )
    tops = importlib.metadata.packages_distributions()
    missing = {
        name
        for top in loaded & tops.keys()
        for name in (re.sub(r"[-_.]+", "-", one).lower() for one in tops[top])
        if name not in known and name not in {PACKAGE.name, "setuptools", "pip"}
    }
    # What the settings load holds values only, which are in the key; pandas, with which
    # Stable-Baselines3 logs, looks for optional file formats; gymnasium colours its warnings.
    values = {"pydantic", "pydantic-core", "annotated-types", "typing-inspection", "pyyaml"}
    assert missing <= values | {"ruamel-yaml", "pyarrow", "colorama"}


def test_the_builds_of_torch_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    real, digests = importlib.metadata.version, set()
    for label in ("", "+cpu", "+cu128"):
        monkeypatch.setattr(
            importlib.metadata,
            "version",
            lambda name, label=label: f"2.13.0{label}" if name == "torch" else real(name),
        )
        digests.add(digest("thermal_control"))
    assert len(digests) == 3


def test_what_is_not_installed_runs_in_nothing(tmp_path: Path) -> None:
    # As PyTorch where the public functions are only given NumPy arrays.
    path = tmp_path / "script.py"
    path.write_text("import no_such_package\nimport cloudpickle\n", encoding="utf-8")
    assert third_party([path]) == {"cloudpickle": importlib.metadata.version("cloudpickle")}


def test_requirements_of_an_extra_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        "numpy>=2", "Some.Name_x (>=1.0)", "tqdm[notebook]~=4.0 ; python_version >= '3.8'",
        "torch; extra == 'deep'", "dask>=1; python_version < '4' and extra == \"extra\"", "extra",
    ]  # fmt: skip
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: listed)
    found = provenance._required.__wrapped__("anything")
    assert found == ("numpy", "some-name-x", "tqdm", "extra")
