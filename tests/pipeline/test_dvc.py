"""dvc.yaml against the code: a dependency that is not listed means stale results, silently."""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.cells.registry import MODULES
from bilevelrl.config import FAMILIES, Params, read_mapping
from bilevelrl.provenance import imported_modules, source_closure
from pipeline.installation import LOCKS
from pipeline.profile import SOURCES

ROOT = Path(__file__).parents[2]
#: They show or report and determine no result, so that no stage reruns when they change.
VIEWS = (
    "bilevelrl.tracking",
    "pipeline.attachments",
    "pipeline.edits",
    "pipeline.installation",
    "pipeline.stage",
)
#: Where stages write.
OUTPUT_FOLDERS = ("data/", "results", "figures/", "tuning/results", "tuning/chosen.yaml")


@dataclass(frozen=True)
class Stage:
    """One stage, its template filled in; all paths relative to the root of the project."""

    name: str
    command: str
    dependencies: tuple[str, ...]
    params: tuple[tuple[str, str], ...]  # (file, dotted key)
    outputs: tuple[str, ...]

    @property
    def script(self) -> Path:
        found = re.match(r"python -m pipeline\.(\w+)", self.command)
        assert found, self.command
        return ROOT / "pipeline" / f"{found[1]}.py"


def instances(definition: dict[str, Any], params: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """(suffix of the name, values of `item` and, under "", of `key`) of a template, as DVC does."""
    if "foreach" in definition:
        key = definition["foreach"].removeprefix("${").removesuffix("}")
        for name, item in params[key].items():
            yield f"@{name}", {**item, "": name}
    elif "matrix" in definition:
        axes = {
            axis: params[values.removeprefix("${").removesuffix("}")]
            if isinstance(values, str)
            else values
            for axis, values in definition["matrix"].items()
        }
        for values in itertools.product(*axes.values()):
            yield f"@{'-'.join(values)}", dict(zip(axes, values, strict=True))
    else:
        yield "", {}


def filled(value: Any, item: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {filled(key, item): filled(entry, item) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, item) for entry in value]
    if isinstance(value, str):
        value = value.replace("${key}", item.get("", ""))
        return re.sub(r"\$\{item\.(\w+)\}", lambda match: item[match[1]], value)
    return value


def stages_of(folder: str) -> Iterator[Stage]:
    definitions = read_mapping(ROOT / f"{folder}dvc.yaml")["stages"]
    params = read_mapping(ROOT / f"{folder}params.yaml")
    for name, definition in definitions.items():
        for suffix, item in instances(definition, params):
            body = filled(definition.get("do", definition), item)
            assert folder == "" or body["wdir"] == "..", "paths below are relative to the root"
            listed: list[tuple[str, str]] = []
            for entry in body.get("params", []):
                files = entry if isinstance(entry, dict) else {"params.yaml": [entry]}
                listed += [(file, key) for file, keys in files.items() for key in keys]
            outputs = [
                next(iter(entry)) if isinstance(entry, dict) else entry
                for kind in ("outs", "metrics", "plots")
                for entry in body.get(kind, [])
            ]
            yield Stage(
                f"{folder}{name}{suffix}",
                body["cmd"],
                tuple(body.get("deps", [])),
                tuple(listed),
                tuple(outputs),
            )


#: The module that names the families of problems in a table, and these.
CHUNKS = ROOT / "src" / "bilevelrl" / "chunks.py"
FAMILY_FILES = [
    (CHUNKS.parent / name.replace(".", "/")).with_suffix(".py") for name in sorted(MODULES.values())
]
STAGES = [*stages_of(""), *stages_of("tuning/")]
MAIN = [stage for stage in STAGES if not stage.name.startswith("tuning/")]
#: One per definition: the other instances differ in data, not in code.
KINDS = list({stage.name.partition("@")[0]: stage for stage in STAGES}.values())


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


def closure(script: Path) -> set[str]:
    """The script and all modules of the project that it imports, directly or not, but for views."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            names = (name for name in imported_modules(current) if not is_view(name))
            waiting += [path for name in names if (path := file_of(name))]
            if current == CHUNKS:  # names its families in a table
                waiting += FAMILY_FILES
    return {str(path.relative_to(ROOT)) for path in seen}


def covers(dependency: str, path: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


def is_output(path: str) -> bool:
    return path.startswith(OUTPUT_FOLDERS)


def test_the_pipeline_has_the_promised_stages() -> None:
    names = {stage.name for stage in MAIN}
    cells = {f"leaders@{name}" for name in read_mapping(ROOT / "params.yaml")["grid"]}
    kinds = ("environments", "followers", "gradients")
    problems = {f"{kind}@{problem}" for kind in kinds for problem in FAMILIES}
    assert names == {"grid", "evaluate", "figures"} | cells | problems
    tuned = {f"tuning/search@{name}" for name in read_mapping(ROOT / "tuning/params.yaml")["grid"]}
    assert {stage.name for stage in STAGES} - names == tuned | {"tuning/choose"}


@pytest.mark.parametrize("stage", KINDS, ids=named)
def test_every_import_of_a_stage_is_a_dependency(stage: Stage) -> None:
    missing = {
        path
        for path in closure(stage.script)
        if not any(covers(dependency, path) for dependency in stage.dependencies)
    }
    assert not missing


@pytest.mark.parametrize("stage", KINDS, ids=named)
def test_no_stage_depends_on_code_that_it_does_not_import(stage: Stage) -> None:
    imported = closure(stage.script)
    superfluous = {
        dependency
        for dependency in stage.dependencies
        if dependency.startswith(("src/", "pipeline/"))
        and not any(covers(dependency, path) for path in imported)
    }
    assert not superfluous


@pytest.mark.parametrize("stage", KINDS, ids=named)
def test_the_closure_agrees_with_the_one_behind_the_run_keys(stage: Stage) -> None:
    # Two derivations: they differ in the views, and in that one leaves `pipeline` out.
    ours = {path for path in closure(stage.script) if path.startswith("src/")}
    sources = {*source_closure(stage.script)}
    if CHUNKS in sources:
        sources |= {path for file in FAMILY_FILES for path in source_closure(file)}
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
        block = read_mapping(ROOT / file)
        for part in key.split("."):
            assert part in block, f"{file} has no {key}"
            block = block[part]


#: `grid` checks all of params.yaml whenever it runs, and writes the grid only; `choose` shares a
#: script with `search` and reads no params.yaml.
READERS = [stage for stage in KINDS if stage.name not in ("grid", "tuning/choose")]


@pytest.mark.parametrize("stage", READERS, ids=named)
def test_every_block_that_the_code_of_a_stage_reads_is_a_parameter(stage: Stage) -> None:
    # `params.<block>` in the text of what the stage imports; config itself only defines them.
    listed = {key.split(".")[0] for file, key in stage.params if file == "params.yaml"}
    read = {
        name
        for path in closure(stage.script)
        if not path.startswith("src/bilevelrl/config")
        for name in re.findall(r"\bparams\.(\w+)", (ROOT / path).read_text(encoding="utf-8"))
    }
    assert read & set(Params.model_fields)
    # Which problems there are decides which stages there are; `shared` adds the runs' seeds.
    assert (read & set(Params.model_fields)) - {"runtime", "grid_problems"} <= listed


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


def data_read(script: Path) -> set[str]:
    """Parts of `data` that a script names and does not write, by its text.

    `data / "followers" / problem` and what is passed on as `data / "leaders"` alike.
    """
    tree = ast.parse(script.read_text(encoding="utf-8"))
    return {
        node.right.value
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
        and re.search(r"\bdata\b['\"]?$", ast.unparse(node.left))
    } & DATA


@pytest.mark.parametrize("stage", [one for one in KINDS if one in MAIN], ids=named)
def test_the_data_that_a_stage_reads_are_dependencies(stage: Stage) -> None:
    if stage.name == "grid":  # removes what left the grid, and reads nothing
        return
    own = {path.split("/")[1] for path in stage.outputs if path.startswith("data/")}
    listed = {path.split("/")[1] for path in stage.dependencies if path.startswith("data/")}
    assert data_read(stage.script) - own == listed
    item = stage.name.partition("@")[2]
    for path in (path for path in stage.dependencies if path.startswith("data/")):
        # One problem's data, unless the stage is of all of them.
        assert not item or item.startswith(path.split("/")[2]), path


def test_every_stage_but_the_first_reads_data() -> None:
    kinds = {stage.name.partition("@")[0]: data_read(stage.script) for stage in KINDS}
    for name in ("followers", "leaders", "gradients", "evaluate", "figures"):
        assert kinds[name], name


@pytest.mark.parametrize("stage", MAIN, ids=named)
def test_a_stage_depends_on_the_parameters_of_its_own_problem_only(stage: Stage) -> None:
    problem = stage.name.partition("@")[2].partition("-")[0]
    if not problem:
        return
    for _, key in stage.params:
        named_problems = set(key.split(".")) & set(FAMILIES)
        whole = read_mapping(ROOT / "params.yaml")
        for part in key.split("."):
            whole = whole[part]
        nested = set(whole) & set(FAMILIES) if isinstance(whole, dict) else set()
        assert named_problems | nested <= {problem}, key


def test_how_many_seeds_there_are_concerns_the_leaders_only() -> None:
    concerned = {stage.name.partition("@")[0] for stage in MAIN for _, key in stage.params
                 if key.startswith("seeds")}  # fmt: skip
    assert concerned == {"leaders"}


@pytest.mark.parametrize("stage", KINDS, ids=named)
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
