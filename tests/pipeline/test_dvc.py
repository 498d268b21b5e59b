"""dvc.yaml against the code: a dependency that is not listed means stale results, silently."""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.provenance import imported_modules, source_closure
from bilevelrl.problems import registry
from bilevelrl.runs.params import Params
from bilevelrl.runs.yaml_files import read_mapping
from pipeline.installation import LOCKS
from pipeline.profile import SOURCES

ROOT = Path(__file__).parents[2]
#: They show or report and determine no result, so that no stage reruns when they change.
VIEWS = (
    "bilevelrl.tracking",
    "pipeline.edits",
    "pipeline.installation",
    "pipeline.stage",
)
#: Where stages write.
OUTPUT_FOLDERS = ("data/", "results", "figures/", "tuning/results", "tuning/chosen.yaml")


@cache
def content(file: str) -> dict[str, Any]:
    return read_mapping(ROOT / file)


#: Names of problems, and the folder below src/bilevelrl/problems that each is made of.
KIND_OF = {name: block["kind"] for name, block in content("params.yaml")["problems"].items()}


@dataclass(frozen=True)
class Stage:
    """One stage, its template filled in; all paths relative to the root of the project."""

    name: str
    command: str
    dependencies: tuple[str, ...]
    params: tuple[tuple[str, str], ...]  # (file, dotted key)
    outputs: tuple[str, ...]

    @property
    def definition(self) -> str:
        return self.name.partition("@")[0]

    @property
    def script(self) -> Path:
        found = re.match(r"python -m pipeline\.(\w+)", self.command)
        assert found, self.command
        return ROOT / "pipeline" / f"{found[1]}.py"

    @property
    def problem(self) -> str:
        """The one that it is about; empty if it is about all of them."""
        return self.name.partition("@")[2].partition("-")[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the problems whose modules it runs.

        Whoever reads params.yaml has the blocks of all problems checked by their `settings`, which
        counts for nobody: `grid` runs whenever params.yaml changes, and what it writes, like what
        `evaluate` and `comparison` do, depends on no problem's code.
        """
        if self.problem:
            return (KIND_OF[self.problem],)
        return () if self.name in ("grid", "evaluate", "comparison") else registry.KINDS


def stages() -> Iterator[Stage]:
    """All stages, as DVC itself reads them."""
    for stage in Repo(ROOT).index.stages:
        folder, _, file = stage.path_in_repo.rpartition("dvc.yaml")
        if folder not in ("", "tuning/") or file:
            continue
        assert Path(stage.wdir) == ROOT, "paths below are relative to the root"
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        yield Stage(
            f"{folder}{stage.name}",
            stage.cmd,
            tuple(dep.def_path for dep in stage.deps if dep not in params),
            tuple((dep.def_path, key) for dep in params for key in dep.params),
            tuple(output.def_path for output in stage.outs),
        )


STAGES = list(stages())
MAIN = [stage for stage in STAGES if not stage.name.startswith("tuning/")]
#: One per definition: the other instances differ in data, and in the kind of their problem.
DEFINITIONS = list({stage.definition: stage for stage in STAGES}.values())
#: One per definition and kind of problem: the other instances differ in data, not in code.
CODES = list({(stage.definition, stage.kinds): stage for stage in STAGES}.values())


def named(stage: Stage) -> str:
    return stage.name


def is_view(name: str) -> bool:
    return any(name == view or name.startswith(f"{view}.") for view in VIEWS)


def file_of(name: str) -> Path | None:
    """The file of a module of this project."""
    top, *parts = name.split(".")
    root = {"bilevelrl": ROOT / "src" / "bilevelrl", "pipeline": ROOT / "pipeline"}.get(top)
    if root is None:
        return None
    module = root.joinpath(*parts)
    candidates = (module.with_suffix(".py"), module / "__init__.py")
    return next((path for path in candidates if parts and path.is_file()), None)


@cache
def parts_named_in(path: Path) -> frozenset[str]:
    """Modules of a kind that a file asks the registry for."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func) in ("registry.part", "registry.has"):
            name = node.args[1]
            assert isinstance(name, ast.Constant), f"{path}: which part is {ast.unparse(name)}?"
            names.add(name.value)
    return frozenset(names)


def files_of_parts(names: frozenset[str], kinds: tuple[str, ...]) -> Iterator[Path]:
    for kind, name in itertools.product(kinds, names):
        path = file_of(f"bilevelrl.{registry.module_name(kind, name)}")
        assert (path is not None) == registry.has(kind, name)
        if path is not None:
            yield path


@cache
def closure(script: Path, kinds: tuple[str, ...]) -> frozenset[str]:
    """The script and all modules of the project that it imports, directly or not, but for views.

    Of what it asks the registry for, the modules of these kinds of problems.
    """
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            names = (name for name in imported_modules(current) if not is_view(name))
            waiting += [path for name in names if (path := file_of(name))]
            waiting += files_of_parts(parts_named_in(current), kinds)
    return frozenset(str(path.relative_to(ROOT)) for path in seen)


def code_of(stage: Stage) -> frozenset[str]:
    return closure(stage.script, stage.kinds)


def parts_asked_for(stage: Stage) -> set[str]:
    return {name for path in code_of(stage) for name in parts_named_in(ROOT / path)}


@cache
def tree_of(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def holds_no_code(path: str) -> bool:
    """Of a package that has no more than a docstring."""
    return path.endswith("/__init__.py") and all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for node in tree_of(path).body
    )


def covers(dependency: str, path: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


def is_output(path: str) -> bool:
    return path.startswith(OUTPUT_FOLDERS)


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
    assert names == {"grid", "evaluate", "comparison"} | cells | problems
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
        "evaluate": {"settings"},
        "figures": {"settings", "figures"},
        "comparison": {"settings"},
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


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_every_parameter_of_a_stage_exists(stage: Stage) -> None:
    for file, key in stage.params:
        block = content(file)
        for part in key.split("."):
            assert part in block, f"{file} has no {key}"
            block = block[part]


#: `grid` checks all of params.yaml whenever it runs, and writes the grid only; `choose` shares a
#: script with `search` and reads no params.yaml.
READERS = [stage for stage in CODES if stage.name not in ("grid", "tuning/choose")]
#: They define what the others read.
DEFINING = (
    "src/bilevelrl/core/problem.py",
    "src/bilevelrl/runs/params.py",
    "src/bilevelrl/runs/tuning_params.py",
)


#: Function of a problem's module `search` that the registry's users call.
ENTRY = "search"


def texts(stage: Stage) -> Iterator[str]:
    """What a stage imports, but for the search of a problem where it does not ask for it."""
    searches = ENTRY in parts_asked_for(stage)
    return (text_of(path, searches) for path in code_of(stage) if path not in DEFINING)


@cache
def text_of(path: str, searches: bool) -> str:
    tree = tree_of(path)
    if path.startswith("src/bilevelrl/problems/") and path.endswith(f"/{ENTRY}.py"):
        kept = [node for node in tree.body if getattr(node, "name", "") != ENTRY]
        assert len(kept) == len(tree.body) - 1
        tree = tree if searches else ast.Module(kept, [])
    return ast.unparse(tree)


#: What else of a problem is read from which part of its block; `shared` also adds the runs' seeds,
#: which studies and searches set themselves.
ALSO = {
    r"\bproblem\.temperatures\b": "search",
    r"\bblock\.(shared|expanded)\(": "training",
    r"\bfollowers\.learner\b": "learner",
}


@pytest.mark.parametrize("stage", READERS, ids=named)
def test_every_block_that_the_code_of_a_stage_reads_is_a_parameter(stage: Stage) -> None:
    # `params.<block>` in the text of what the stage imports.
    listed = {key.split(".")[0] for file, key in stage.params if file == "params.yaml"}
    read = {name for text in texts(stage) for name in re.findall(r"\bparams\.(\w+)", text)}
    read |= {"problems"} if read & {"problem", "block", "settings"} else set()
    read |= {"followers"} if "problem" in read else set()
    assert read & set(Params.model_fields)
    # Which problems there are decides which stages there are.
    assert (read & set(Params.model_fields)) - {"runtime", "grid_problems"} <= listed


@pytest.mark.parametrize("stage", [one for one in READERS if one.problem], ids=named)
def test_every_part_of_a_problem_that_the_code_of_a_stage_reads_is_a_parameter(
    stage: Stage,
) -> None:
    # `block.<part>` in the text of what the stage imports.
    keys = [key.split(".") for file, key in stage.params if file == "params.yaml"]
    own = [key for key in keys if key[0] == "problems"]
    whole = any(len(key) == 2 for key in own)  # the block and all its parts
    listed = {*ProblemBlock.model_fields} if whole else {key[2] for key in own}
    read = {name for text in texts(stage) for name in re.findall(r"\bblock\.(\w+)", text)}
    read |= {part for text in texts(stage) for way, part in ALSO.items() if re.search(way, text)}
    parts = read & set(ProblemBlock.model_fields)
    if not {"cell", "best_response"} & parts_asked_for(stage):
        parts -= {"learner"}  # of the follower that learns, whom nobody builds
    assert "kind" in parts
    assert parts <= listed


def test_no_stage_depends_on_how_it_is_computed() -> None:
    assert not [stage.name for stage in STAGES for _, key in stage.params if "runtime" in key]


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


@pytest.mark.parametrize("stage", MAIN, ids=named)
def test_a_stage_depends_on_the_parameters_of_its_own_problem_only(stage: Stage) -> None:
    if not stage.problem:
        return
    for _, key in stage.params:
        named_problems = set(key.split(".")) & set(KIND_OF)
        whole = content("params.yaml")
        for part in key.split("."):
            whole = whole[part]
        nested = set(whole) & set(KIND_OF) if isinstance(whole, dict) else set()
        assert named_problems | nested <= {stage.problem}, key


def test_how_many_seeds_there_are_concerns_the_leaders_only() -> None:
    concerned = {
        stage.definition
        for stage in MAIN
        for _, key in stage.params
        for problem in KIND_OF
        if f"problems.{problem}.seeds.".startswith(f"{key}.")
    }
    # Those that draw what the leaders did are handed the blocks as a whole.
    assert concerned == {"leaders", "figures", "comparison"}


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
