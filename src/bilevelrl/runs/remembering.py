"""Run tasks of studies and searches, remembering every finished one as runs are remembered."""

import functools
import pickle
from collections.abc import Callable, Iterator, Sequence

import joblib
import numpy as np

from bilevelrl.core.problem import Result, RunTasks, Task
from bilevelrl.core.provenance import folders_digest
from bilevelrl.runs.execution import ResultCache, content_key, run_tasks
from bilevelrl.runs.runtime import Runtime

#: Folders whose code a task may run, some of it found by name only.
COMPUTING = ("core", "models", "problems", "studies", "trainer", "hypergradients", "evaluation")


def tasks_runner(runtime: Runtime, cache: ResultCache | None = None) -> RunTasks:
    """`run_tasks` on the processes of params.yaml, which computes what `cache` does not know.

    Without a cache it computes everything. A task's key covers the function, all that it is given,
    every file that may compute something, and the packages that these import.
    """
    if cache is None:
        return functools.partial(run_tasks, runtime=runtime)
    return functools.partial(_run, runtime, cache)


def _run(
    runtime: Runtime,
    cache: ResultCache,
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    weights: Sequence[int] | None = None,
    description: str = "",
) -> Iterator[tuple[int, Result]]:
    keys = [_key(function, task) for task in tasks]
    missing = []
    for place, key in enumerate(keys):
        if (found := cache.get(key)) is None:
            missing.append(place)
        else:
            yield place, pickle.loads(found["result"].tobytes())
    computed = run_tasks(
        function,
        [tasks[place] for place in missing],
        runtime,
        weights=None if weights is None else [weights[place] for place in missing],
        description=description,
    )
    for position, result in computed:
        place = missing[position]
        cache.put(keys[place], {"result": np.frombuffer(pickle.dumps(result), np.uint8)})
        yield place, result


def _key(function: Callable[[Task], Result], task: Task) -> str:
    # joblib's hash, unlike a pickle, does not depend on the order of sets.
    return content_key(
        {
            "function": f"{function.__module__}.{function.__qualname__}",
            "task": joblib.hash(task, hash_name="sha1"),
            "code": folders_digest(*COMPUTING),
        }
    )
