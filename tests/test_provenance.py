"""A run's key covers the code that computes it, all of it, and nothing else."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bilevelrl import provenance
from bilevelrl.cells.registry import MODULES
from bilevelrl.provenance import (
    PACKAGE,
    code_digest,
    imported_modules,
    source_closure,
    third_party,
)

CONFIG = {
    "config/__init__.py", "config/blocks.py", "config/cartpole.py", "config/families.py",
    "config/games.py",
    "config/params.py", "config/settings.py", "config/thermal.py", "config/tuning.py",
    "config/validation.py", "config/yaml_files.py", "cells/registry.py",
}  # fmt: skip
#: What the worker runs for every problem, besides.
SHARED = {
    "chunks.py", "training.py", "ascent.py", "provenance.py", "seeding.py", "cells/protocol.py",
    "estimators/protocol.py", "followers/protocol.py",
}  # fmt: skip
#: What FourRooms needs on top.
NEEDED = {
    "cells/four_rooms.py", "tabular_game.py", "compilation.py",
    "beliefs/frequencies.py", "beliefs/tabular.py",
    "critics/sarsa.py", "critics/monte_carlo.py", "critics/protocol.py",
    "estimators/boltzmann_covariance.py", "estimators/exact.py", "estimators/hpgd.py",
    "estimators/naive.py", "estimators/sobirl.py", "estimators/trace.py",
    "estimators/watched_covariance.py", "estimators/sampled.py",
    "estimators/zero_order.py", "followers/soft_policy_iteration.py",
    "followers/soft_q_learning.py", "followers/truncated.py", "problems/elimination.py",
    "problems/four_rooms.py", "problems/observations.py", "problems/protocol.py",
    "problems/rollout.py", "problems/tabular.py",
}  # fmt: skip


def closure_of(*modules: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for module in modules
        for path in source_closure(PACKAGE / f"{module.replace('.', '/')}.py")
    }


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that the digests are taken of."""
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    return copy


def digest(
    *modules: str,
    problem: str = "four_rooms",
    values: tuple[str, ...] = ("config", "cells.registry"),
) -> str:
    chosen = modules or ("chunks", MODULES[problem])
    return code_digest.__wrapped__(*chosen, values=values)  # past its cache


def test_closure_of_a_chunk_is_what_it_runs() -> None:
    assert closure_of("chunks") == SHARED | CONFIG
    assert closure_of("chunks", MODULES["four_rooms"]) == SHARED | NEEDED | CONFIG


def test_families_of_problems_share_no_more_than_they_must() -> None:
    # An edit to one family must not throw away the finished runs of another.
    private = {"cells/four_rooms.py", "tabular_game.py", "critics/sarsa.py"}
    for problem in ("discrete_toy_r1", "bilevel_lqr"):
        assert not private & closure_of("chunks", MODULES[problem])
    assert "linear_game.py" not in closure_of("chunks", MODULES["discrete_toy_r1"])
    assert "finite_game.py" not in closure_of("chunks", MODULES["bilevel_lqr"])
    own = "followers/game_soft_q_learning.py"
    learning = {problem for problem in MODULES if own in closure_of("chunks", MODULES[problem])}
    assert learning == {"discrete_toy_r1", "discrete_toy_r2"}


def test_closure_of_the_leaders_adds_what_runs_around_chunks() -> None:
    added = closure_of("leaders") - closure_of("chunks")
    assert added == {"leaders.py", "execution.py", "records.py", "atomic_files.py"}


def test_everything_that_is_loaded_with_a_chunk_is_in_its_closure() -> None:
    # An independent count, by Python itself; the empty __init__.py files do not matter.
    code = (
        "import sys, bilevelrl.chunks\n"
        "bilevelrl.chunks.family('four_rooms')\n"
        "for name, module in sys.modules.items():\n"
        "    if name.split('.')[0] == 'bilevelrl': print(module.__file__)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {str(Path(line).relative_to(PACKAGE)) for line in done.stdout.splitlines()}
    empty = {str(Path(name).parent / "__init__.py") for name in NEEDED | SHARED}
    assert loaded - empty == SHARED | NEEDED | CONFIG


def test_packages_on_the_way_to_a_chunk_hold_no_code() -> None:
    # Importing a.b runs a/__init__.py, which the closure has only if a itself is imported from.
    for folder in {(PACKAGE / name).parent for name in NEEDED | SHARED}:
        body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
        assert all(
            isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Constant)
            for node in body
        ), folder


def test_imports_are_absolute_so_that_none_is_missed() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "import bilevelrl.seeding\n"
        "from bilevelrl import config as c\n"
        "def f():\n"
        "    from bilevelrl.problems.gym import FourRoomsEnv\n"
    )
    assert imported_modules(path) >= {
        "bilevelrl.seeding", "bilevelrl.config", "bilevelrl.problems.gym",
    }  # fmt: skip
    names = {found.name for found in source_closure(path)}
    assert {"script.py", "seeding.py", "settings.py", "gym.py", "four_rooms.py"} <= names


@pytest.mark.parametrize("name", sorted(NEEDED | SHARED))
def test_an_edit_to_any_file_of_the_closure_changes_the_digest(package: Path, name: str) -> None:
    before = digest()
    path = package / name
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert digest() != before


@pytest.mark.parametrize("name", sorted(CONFIG))
def test_modules_that_only_hold_values_are_left_out(package: Path, name: str) -> None:
    left_out, included = digest(), digest(values=())
    path = package / name
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert digest() == left_out
    assert digest(values=()) != included


def test_leaving_out_a_package_leaves_out_no_neighbour_with_a_longer_name(package: Path) -> None:
    assert digest(values=("train",)) == digest(values=())  # there is training.py
    assert digest(values=("training",)) != digest(values=())


@pytest.mark.parametrize("name", ["leaders.py", "figures/style.py", "evaluation/summary.py"])
def test_an_edit_elsewhere_changes_nothing(package: Path, name: str) -> None:
    before = digest()
    (package / name).write_text("# edited\n", encoding="utf-8")
    assert digest() == before


def test_the_digest_does_not_depend_on_where_the_package_lies(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest()
    deeper = package.parent / "deeper" / PACKAGE.name
    deeper.parent.mkdir()
    monkeypatch.setattr(provenance, "PACKAGE", package.rename(deeper))
    assert digest() == before


#: What takes part in a run of each problem, besides what the test's own process needs.
PACKAGES = {
    "four_rooms": {"numba", "llvmlite", "numpy", "scipy"},
    "discrete_toy_r1": {"numba", "llvmlite", "numpy", "scipy"},
    "bilevel_lqr": {"numba", "numpy", "scipy", "torch", "stable-baselines3", "gymnasium"},
    "thermal_control": {"numba", "numpy", "scipy", "torch", "stable-baselines3", "gymnasium"},
    "guided_cartpole": {"numba", "numpy", "scipy", "torch", "stable-baselines3", "gymnasium"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "name"),
    [(problem, name) for problem, names in PACKAGES.items() for name in sorted(names)],
)
def test_another_version_of_a_package_that_runs_changes_the_digest(
    problem: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(problem=problem)
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda package: "0.0" if package == name else real(package),
    )
    assert digest(problem=problem) != before


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
    # An independent count: what Python itself has loaded after building nothing but the family.
    code = (
        "import sys, bilevelrl.chunks\n"
        "bilevelrl.chunks.family('thermal_control')\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    known = third_party(
        [*source_closure(PACKAGE / "cells/thermal_control.py"), PACKAGE / "chunks.py"]
    )
    tops = importlib.metadata.packages_distributions()
    missing = {
        name
        for top in loaded & tops.keys()
        for name in (re.sub(r"[-_.]+", "-", one).lower() for one in tops[top])
        if name not in known and name not in {PACKAGE.name, "setuptools", "pip"}
    }
    # What `config` loads holds values only, which are in the key; pandas, which Stable-Baselines3
    # logs with, looks for optional file formats; gymnasium colours its warnings.
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
        digests.add(digest(problem="thermal_control"))
    assert len(digests) == 3


def test_an_import_that_nobody_installed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import no_such_package\n", encoding="utf-8")
    with pytest.raises(ImportError, match="no_such_package"):
        third_party([path])
