"""The stages of dvc.yaml, as DVC reads them, and the code that each of them runs."""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from bilevelrl.core.provenance import imported_modules
from bilevelrl.problems import registry
from bilevelrl.runs.yaml_files import read_mapping

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
        the stages of all problems do, depends on no problem's code.
        """
        if self.problem:
            return (KIND_OF[self.problem],)
        common = ("grid", "reward_structures", "evaluate", "comparison")
        return () if self.name in common else registry.KINDS


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
