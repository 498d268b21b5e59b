"""Tasks of studies are computed once, whatever order the process gives to sets."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.params import read_params
from bilevelrl.runs.remembering import tasks_runner, told
from bilevelrl.runs.runtime import Runtime

RUNTIME = Runtime(jobs=1, threads=1, backend="loky", dask_scheduler=None)
seen: list[int] = []


@dataclass(frozen=True)
class Task:
    number: int
    names: set[str] = field(default_factory=lambda: {"a", "b", "c"})


def double(task: Task) -> tuple[int, str]:
    seen.append(task.number)
    return 2 * task.number, "double"


def triple(task: Task) -> tuple[int, str]:
    return 3 * task.number, "triple"


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path)


def test_what_is_known_is_not_computed_again(cache: ResultCache) -> None:
    run, tasks = tasks_runner(RUNTIME, cache), [Task(1), Task(2), Task(3)]
    seen.clear()
    first = dict(run(double, tasks[:2], description="numbers"))
    again = dict(run(double, tasks, weights=[1, 2, 3]))
    assert again == {0: (2, "double"), 1: (4, "double"), 2: (6, "double")}
    assert first == {0: (2, "double"), 1: (4, "double")}
    assert seen == [1, 2, 3]
    assert dict(run(triple, tasks[:1])) == {0: (3, "triple")}


def test_without_a_cache_the_work_folder_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVELRL_WORK", str(tmp_path))
    seen.clear()
    for _ in range(2):
        assert dict(tasks_runner(RUNTIME)(double, [Task(4)])) == {0: (8, "double")}
    assert seen == [4]
    assert [*(tmp_path / "tasks").glob("*/*")]


def test_a_key_depends_on_no_order_of_sets() -> None:
    code = (
        "from tests.runs.test_remembering import Task, double\n"
        "from bilevelrl.runs.remembering import _key\n"
        "print(_key(double, Task(5)))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(keys) == 1


def apply(function: Callable[[], int]) -> int:
    return function()


def test_what_cannot_be_told_is_computed_every_time(cache: ResultCache) -> None:
    run = tasks_runner(RUNTIME, cache)
    assert dict(run(apply, [lambda: 1])) == {0: 1}
    assert dict(run(apply, [lambda: 2])) == {0: 2}
    assert not [*cache._folder.glob("*/*")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), ((1, 2), [1, 2]), ("1", 1), ({"a": 1}, {"a": 2}),
        (np.zeros(2), np.zeros(2, np.float32)), (np.zeros((2, 1)), np.zeros((1, 2))),
        (Task(1), Task(2)), (double, triple),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (range(2), range(3)), (0.0, -0.0), (None, "None"),
    ],
)  # fmt: skip
def test_different_things_tell_different_content(one: object, other: object) -> None:
    assert told(one) == told(one)
    assert json.dumps(told(one)) != json.dumps(told(other))


def test_every_problem_can_be_told() -> None:
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    said = [json.dumps(told(params.problem(name))) for name in params.problems]
    assert len(set(said)) == len(said) > 4
