"""A run's key covers the code that computes it, all of it, and nothing else."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core import provenance
from bilevelrl.core.entries import Registered
from bilevelrl.core.provenance import (
    PACKAGE,
    code_digest,
    imported_modules,
    source_closure,
)
from bilevelrl.core.settings import Setting
from bilevelrl.problems import registry
from bilevelrl.problems.registry import KINDS
from bilevelrl.runs import chunks
from tests.core.digests import cell, digest

#: Modules of FourRooms that only hold values.
CONFIG = {
    "core/blocks.py", "core/entries.py", "core/finite_settings.py", "core/problem.py",
    "core/settings.py", "core/validation.py", "models/tabular/settings.py",
    "problems/four_rooms/settings.py", "problems/registry.py",
}  # fmt: skip


#: What the worker runs for every problem, besides.
SHARED = {
    "core/arrays.py", "core/ascent.py", "core/cell.py", "core/compilation.py",
    "core/estimator.py", "core/follower.py", "core/provenance.py", "core/seeding.py",
    "core/training.py", "problems/__init__.py", "runs/chunks.py",
}  # fmt: skip


#: What FourRooms needs on top.
NEEDED = {
    "core/batches.py", "core/exact.py", "core/frequencies.py", "core/observations.py",
    "core/perturbed_follower.py", "models/tabular/perturbed.py", "models/tabular/unrolled.py",
    "core/sampled.py", "core/soft_q_rule.py", "core/trace.py",
    "models/tabular/belief.py", "models/tabular/boltzmann_covariance.py",
    "models/tabular/critic.py", "models/tabular/elimination.py", "models/tabular/exact.py",
    "models/tabular/game.py", "models/tabular/hpgd.py", "models/tabular/model.py",
    "models/tabular/monte_carlo.py", "models/tabular/naive.py", "models/tabular/on_policy.py",
    "models/tabular/problem.py",
    "models/tabular/rollout.py", "models/tabular/sarsa.py", "models/tabular/sobirl.py",
    "models/tabular/soft_policy_iteration.py", "models/tabular/soft_q_learning.py",
    "models/tabular/truncated.py", "models/tabular/watched_covariance.py",
    "problems/four_rooms/cell.py", "problems/four_rooms/problem.py",
}  # fmt: skip


#: Modules that only hold values, each with a kind of problem whose runs load it.
VALUES_OF = dict.fromkeys(CONFIG, "four_rooms") | {
    "core/games.py": "bilevel_lqr", "models/deep/settings.py": "bilevel_lqr",
    "models/finite_game/settings.py": "discrete_toy",
    **{f"problems/{kind}/settings.py": kind for kind in KINDS},
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


def in_key(kind: str, estimator: str, variant: str) -> str:
    """The digest that a run's key has."""
    known: dict[str, Any] = {"variant": variant}
    return chunks.cell_digest(kind, estimator, Setting.model_construct(**known))


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_in_the_key_of_a_run_is_the_one_that_is_looked_at_here(kind: str) -> None:
    estimators = registry.part(kind, "settings").BLOCK.estimators
    for pair, own in estimators.items():
        maker, _ = registry.function_name(kind, own.maker)
        assert in_key(kind, *pair) == digest(kind, None, maker)


def test_the_module_that_builds_an_estimator_is_in_its_digest_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = registry.part("four_rooms", "settings").BLOCK
    elsewhere = Registered(Setting, "models.deep.game:made_up")
    others = {**block.estimators, ("naive", "published"): elsewhere}
    monkeypatch.setattr(block, "estimators", others)
    digests = {pair: in_key("four_rooms", *pair) for pair in others}
    values = (*chunks.VALUES, "problems.four_rooms.settings")
    expected = code_digest("runs.chunks", cell("four_rooms"), "models.deep.game", values=values)
    assert digests.pop(("naive", "published")) == expected != digest()
    assert set(digests.values()) == {
        digest(),
        digest("four_rooms", None, "core.model_based"),
        digest("four_rooms", None, "problems.four_rooms.identified"),
        digest("four_rooms", None, "models.tabular.amd"),
        digest("four_rooms", None, "core.cma_es"),
    }


def test_closure_of_a_chunk_is_what_it_runs() -> None:
    of_one_kind = NEEDED | {"core/finite_settings.py", "models/tabular/settings.py",
                            "problems/four_rooms/settings.py"}  # fmt: skip
    assert closure_of("runs.chunks") == (SHARED | CONFIG) - of_one_kind
    assert closure_of("runs.chunks", cell("four_rooms")) == SHARED | NEEDED | CONFIG


def test_kinds_of_problems_share_no_more_than_they_must() -> None:
    # An edit to one kind must not throw away the finished runs of another.
    closures = {kind: closure_of("runs.chunks", cell(kind)) for kind in KINDS}
    for kind, closure in closures.items():
        folders = {path.split("/")[1] for path in closure if path.startswith("problems/")}
        assert folders == {"__init__.py", "registry.py", kind}
    private = {"models/tabular/game.py", "models/tabular/sarsa.py"}
    for kind in ("discrete_toy", "bilevel_lqr"):
        assert not private & closures[kind]
    assert "models/finite_game/game.py" not in closures["bilevel_lqr"]
    own = "models/finite_game/soft_q_learning.py"
    assert {kind for kind in KINDS if own in closures[kind]} == {"discrete_toy"}


def test_closure_of_the_leaders_adds_what_runs_around_chunks() -> None:
    added = closure_of("runs.leaders") - closure_of("runs.chunks")
    assert added == {
        "core/atomic_files.py", "runs/cluster.py", "runs/evaluate_block.py", "runs/execution.py",
        "runs/forecast.py", "runs/heap.py", "runs/leaders.py", "runs/params.py",
        "runs/progress.py", "runs/records.py", "runs/reward_structures_block.py",
        "runs/runtime.py", "runs/table_files.py",
        "runs/yaml_files.py",
    }  # fmt: skip


def test_everything_that_is_loaded_with_a_chunk_is_in_its_closure() -> None:
    # An independent count, by Python itself; the empty __init__.py files do not matter.
    code = (
        "import sys, bilevelrl.runs.chunks\n"
        "bilevelrl.runs.chunks.cell_of('four_rooms')\n"
        "for name, module in sys.modules.items():\n"
        "    if name.split('.')[0] == 'bilevelrl': print(module.__file__)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {str(Path(line).relative_to(PACKAGE)) for line in done.stdout.splitlines()}
    names = SHARED | NEEDED | CONFIG
    empty = {str(parent / "__init__.py") for name in names for parent in Path(name).parents}
    assert loaded - empty == names - empty


def is_a_public_name(node: ast.stmt) -> bool:
    """Part of how users find public names and Gymnasium environments; no run asks for either."""
    match node:
        case ast.Import(names=[ast.alias(name="gymnasium")]):
            return True
        case ast.ImportFrom(module="bilevelrl.problems", names=[ast.alias(name="registry")]):
            return True
        case ast.For():
            return ast.unparse(node.iter) == "registry.ENVIRONMENTS.items()"
        case ast.FunctionDef(name="__getattr__" | "__dir__"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            return True
        case ast.ImportFrom(module="typing"):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            return ast.literal_eval(value) is not None
    return False


def test_packages_on_the_way_to_a_chunk_hold_no_code() -> None:
    # Importing a.b runs a/__init__.py, which the closure has only if a itself is imported from.
    names = SHARED | NEEDED | CONFIG
    for folder in {PACKAGE / parent for name in names for parent in Path(name).parents}:
        body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
        if folder == PACKAGE:
            body = [node for node in body if not is_a_public_name(node)]
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
        "import bilevelrl.core.seeding\n"
        "from bilevelrl.core import settings as s\n"
        "def f():\n"
        "    from bilevelrl.problems.four_rooms.gym import FourRoomsEnv\n"
    )
    assert imported_modules(path) >= {
        "bilevelrl.core.seeding", "bilevelrl.core.settings", "bilevelrl.problems.four_rooms.gym",
    }  # fmt: skip
    inside = [found for found in source_closure(path) if found != path]
    assert len(inside) == len(source_closure(path)) - 1
    assert {str(found.relative_to(PACKAGE)) for found in inside} >= {
        "core/seeding.py", "core/settings.py", "core/validation.py", "problems/four_rooms/gym.py",
        "problems/four_rooms/problem.py",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(NEEDED | SHARED))
def test_an_edit_to_any_file_of_the_closure_changes_the_digest(package: Path, name: str) -> None:
    before = digest()
    path = package / name
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert digest() != before


def test_modules_that_only_hold_values_are_all_tried() -> None:
    settings = {f"problems/{kind}/settings.py" for kind in KINDS}
    listed = {f"{name.replace('.', '/')}.py" for name in chunks.VALUES}
    assert VALUES_OF.keys() == listed | settings


@pytest.mark.parametrize(("name", "kind"), sorted(VALUES_OF.items()))
def test_modules_that_only_hold_values_are_left_out(package: Path, name: str, kind: str) -> None:
    left_out, included = digest(kind), digest(kind, ())
    path = package / name
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert digest(kind) == left_out
    assert digest(kind, ()) != included


def test_leaving_out_a_package_leaves_out_no_neighbour_with_a_longer_name(package: Path) -> None:
    assert digest(values=("core.train",)) == digest(values=())  # there is core/training.py
    assert digest(values=("core.training",)) != digest(values=())


@pytest.mark.parametrize(
    "name",
    [
        "runs/leaders.py", "runs/params.py", "runs/tuning_params.py", "runs/yaml_files.py",
        "figures/style.py", "evaluation/summary.py", "problems/four_rooms/search.py",
        "problems/bilevel_lqr/cell.py", "problems/guided_cartpole/settings.py",
    ],
)  # fmt: skip
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
