"""dvc.yaml against the code: a dependency that is not listed means stale results, silently."""

import ast
import itertools
import re
from pathlib import Path

import pytest

from bilevelrl.core.provenance import imported_modules, source_closure
from bilevelrl.problems import registry
from pipeline.installation import LOCKS
from pipeline.profile import SOURCES
from tests.pipeline.stages import (
    CODES,
    DEFINITIONS,
    KIND_OF,
    MAIN,
    ROOT,
    STAGES,
    Stage,
    code_of,
    content,
    covers,
    files_of_parts,
    holds_no_code,
    is_output,
    named,
    parts_asked_for,
    tree_of,
)


@pytest.mark.parametrize("folder", ["", "tuning/"])
def test_the_lock_names_every_stage_and_no_other(folder: str) -> None:
    named_here = {
        stage.name for stage in STAGES if stage.name.startswith("tuning/") == bool(folder)
    }
    locked = {f"{folder}{name}" for name in content(f"{folder}dvc.lock")["stages"]}
    assert locked == named_here


def test_the_pipeline_has_the_promised_stages() -> None:
    names = {stage.name for stage in MAIN}
    cells = {f"leaders@{name}" for name in content("params.yaml")["grid"]}
    kinds = ("environments", "figures", "followers", "gradients")
    problems = {f"{kind}@{problem}" for kind in kinds for problem in KIND_OF}
    assert names == {"grid", "reward_structures", "evaluate", "comparison"} | cells | problems
    tuned = {f"tuning/search@{name}" for name in content("tuning/params.yaml")["grid"]}
    assert {stage.name for stage in STAGES} - names == tuned | {"tuning/choose"}


@pytest.mark.parametrize("stage", CODES, ids=named)
def test_every_import_of_a_stage_is_a_dependency(stage: Stage) -> None:
    missing = {
        path
        for path in code_of(stage)
        if not any(covers(dependency, path) for dependency in stage.dependencies)
        and not holds_no_code(path)
    }
    assert not missing


@pytest.mark.parametrize("stage", CODES, ids=named)
def test_no_stage_depends_on_code_that_it_does_not_import(stage: Stage) -> None:
    # Nor does any other of its definition: a problem may have no part that another has.
    alike = [one for one in CODES if one.definition == stage.definition]
    imported = {path for one in alike for path in code_of(one)}
    superfluous = {
        dependency
        for dependency in stage.dependencies
        if dependency.startswith(("src/", "pipeline/"))
        and not any(covers(dependency, path) for path in imported)
    }
    assert not superfluous


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_no_stage_depends_on_the_code_of_another_problem(stage: Stage) -> None:
    folder = "src/bilevelrl/problems"
    others = {f"{folder}/{kind}" for kind in registry.KINDS} - {
        f"{folder}/{kind}" for kind in stage.kinds
    }
    assert len(others) == (len(registry.KINDS) - 1 if stage.problem else len(others))
    touched = {
        (dependency, other)
        for dependency in stage.dependencies
        for other in others
        if covers(dependency, other) or covers(other, dependency)
    }
    assert not touched


def test_every_kind_of_problem_is_a_folder() -> None:
    folders = (ROOT / "src" / "bilevelrl" / "problems").glob("*/__init__.py")
    assert {path.parent.name for path in folders} == {*registry.KINDS} == {*KIND_OF.values()}


def test_modules_that_are_found_by_name_are_found_through_the_registry() -> None:
    # Any other way would be overlooked here, and in the keys of the runs.
    found = {
        str(path.relative_to(ROOT))
        for folder in ("src", "pipeline")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"import_module|__import__|importlib\.util", path.read_text(encoding="utf-8"))
    }
    assert found == {"src/bilevelrl/problems/registry.py"}


def test_the_parts_of_a_problem_that_stages_ask_for_are_found() -> None:
    asked = {stage.definition: parts_asked_for(stage) for stage in DEFINITIONS}
    assert asked == {
        "grid": {"settings"},
        "environments": {"settings", "search"},
        "followers": {"settings", "best_response"},
        "leaders": {"settings", "cell", "outcomes"},
        "gradients": {"settings", "ladder"},
        "reward_structures": {"settings"},
        "evaluate": {"settings"},
        "figures": {"settings", "figures"},
        "comparison": set(),
        "tuning/search": {"settings", "cell"},
        "tuning/choose": {"settings", "cell"},
    }


@pytest.mark.parametrize("stage", CODES, ids=named)
def test_the_closure_agrees_with_the_one_behind_the_run_keys(stage: Stage) -> None:
    # Two derivations: they differ in the views, and in that one leaves `pipeline` out.
    ours = {path for path in code_of(stage) if path.startswith("src/")}
    sources: set[Path] = set()
    waiting = [stage.script]
    while waiting:
        new = {*source_closure(waiting.pop())} - sources
        sources |= new
        named_parts = {
            name
            for path in new
            for name in re.findall(
                r'registry\.(?:part|has)\(.*?, "(\w+)"\)', path.read_text(encoding="utf-8")
            )
        }
        waiting += files_of_parts(frozenset(named_parts), stage.kinds)
    theirs = {str(path.relative_to(ROOT)) for path in sources if path != stage.script}
    assert ours <= theirs
    uses_tracking = any("tracking" in name for name in imported_modules(stage.script))
    assert uses_tracking or ours == theirs


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_nothing_that_a_stage_depends_on_is_missing(stage: Stage) -> None:
    assert len(set(stage.dependencies)) == len(stage.dependencies)
    missing = {
        dependency
        for dependency in stage.dependencies
        if not is_output(dependency) and not (ROOT / dependency).exists()
    }
    assert not missing


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_what_a_stage_reads_is_written_by_another(stage: Stage) -> None:
    written = {output for other in STAGES if other is not stage for output in other.outputs}
    for dependency in filter(is_output, stage.dependencies):
        assert any(
            covers(output, dependency) or covers(dependency, output) for output in written
        ), dependency


def test_no_two_stages_write_the_same_place() -> None:
    outputs = [(stage.name, output) for stage in STAGES for output in stage.outputs]
    assert all(is_output(output) for _, output in outputs)
    for (one, first), (other, second) in itertools.combinations(outputs, 2):
        assert not covers(first, second), (one, other)
        assert not covers(second, first), (one, other)


@pytest.mark.parametrize("stage", MAIN, ids=named)
def test_stages_that_compute_depend_on_the_installed_versions(stage: Stage) -> None:
    assert LOCKS == ("requirements.lock", "requirements-torch.txt")
    for lock in LOCKS:
        assert (lock in stage.dependencies) == (stage.name != "grid")


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_tools_of_developers_change_no_result(stage: Stage) -> None:
    assert not [name for name in stage.dependencies if "dev" in name or "pyproject" in name]


#: What the stages leave for one another; the first part of a path below `data`.
DATA = {path.split("/")[1] for stage in MAIN for path in stage.outputs if path.startswith("data/")}


def data_read(stage: Stage) -> set[str]:
    """Parts of `data` that the code of a stage names and that it does not write, by its text.

    `data / "followers" / problem` and what is passed on as `data / "leaders"` alike.
    """
    return {
        node.right.value
        for path in code_of(stage)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
        and re.search(r"\bdata\b['\"]?$", ast.unparse(node.left))
    } & DATA


@pytest.mark.parametrize("stage", [one for one in DEFINITIONS if one in MAIN], ids=named)
def test_the_data_that_a_stage_reads_are_dependencies(stage: Stage) -> None:
    if stage.name == "grid":  # removes what left the grid, and reads nothing
        return
    own = {path.split("/")[1] for path in stage.outputs if path.startswith("data/")}
    listed = {path.split("/")[1] for path in stage.dependencies if path.startswith("data/")}
    assert data_read(stage) - own == listed
    item = stage.name.partition("@")[2]
    for path in (path for path in stage.dependencies if path.startswith("data/")):
        # One problem's data, unless the stage is of all of them.
        assert not item or item.startswith(path.split("/")[2]), path


def test_every_stage_but_the_first_reads_data() -> None:
    read = {stage.definition: data_read(stage) for stage in DEFINITIONS}
    for name in ("followers", "leaders", "gradients", "evaluate", "figures", "comparison"):
        assert read[name], name


@pytest.mark.parametrize("stage", DEFINITIONS, ids=named)
def test_stages_share_results_through_files_not_through_the_tracking_store(stage: Stage) -> None:
    assert not [name for name in stage.dependencies if "mlflow" in name or "mlruns" in name]
    assert not [name for name in stage.dependencies if "tracking" in name]


def test_compiled_files_do_not_count_as_changes() -> None:
    ignored = (ROOT / ".dvcignore").read_text(encoding="utf-8").split()
    assert {"__pycache__/", "*.pyc", "*.egg-info/"} <= set(ignored)


def test_a_profile_takes_along_all_that_the_stages_depend_on() -> None:
    needed = {name for stage in MAIN for name in stage.dependencies if not is_output(name)}
    written = {"params.yaml"}  # with the profile's differences
    left = needed - written
    assert not {name for name in left if not any(covers(source, name) for source in SOURCES)}
