"""dvc.yaml's parameters against the code: one that is not listed means stale results, silently."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from bilevelrl.core.problem import ProblemBlock
from bilevelrl.runs.params import Params
from tests.pipeline.stages import (
    CODES,
    KIND_OF,
    MAIN,
    STAGES,
    Stage,
    code_of,
    content,
    named,
    parts_asked_for,
    tree_of,
)


@pytest.mark.parametrize("stage", STAGES, ids=named)
def test_every_parameter_of_a_stage_exists(stage: Stage) -> None:
    for file, key in stage.params:
        block = content(file)
        for part in key.split("."):
            assert part in block, f"{file} has no {key}"
            block = block[part]


#: `grid` checks all of params.yaml whenever it runs, and tells `comparison` what it has to know;
#: `choose` shares a script with `search` and reads no params.yaml.
READERS = [stage for stage in CODES if stage.name not in ("grid", "comparison", "tuning/choose")]
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
    if re.fullmatch(rf"src/bilevelrl/problems/\w+/{ENTRY}\.py", path):
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
    assert concerned == {"leaders"}
