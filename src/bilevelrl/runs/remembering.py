"""Run tasks of studies and searches, remembering every finished one as runs are remembered."""

import dataclasses
import functools
import hashlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from pydantic import BaseModel

from bilevelrl.core.problem import Result, RunTasks, Task
from bilevelrl.core.provenance import folders_digest
from bilevelrl.runs.execution import ResultCache, content_key, run_tasks, work_folder
from bilevelrl.runs.runtime import Runtime

#: Folders whose code a task may run, some of it found by name only.
COMPUTING = ("core", "models", "problems", "studies", "trainer", "hypergradients", "evaluation")


def tasks_runner(runtime: Runtime, cache: ResultCache | None = None) -> RunTasks:
    """`run_tasks` on the processes of params.yaml, which computes what `cache` does not know.

    Without one it is the folder `tasks` of the work folder. A task's key covers the function, all
    that it is given, every file that may compute something, and the packages that these import.
    """
    return functools.partial(_run, runtime, cache or ResultCache(work_folder() / "tasks"))


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
        if key is None or (found := cache.get(key)) is None:
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
        if (key := keys[place]) is not None:
            cache.put(key, {"result": np.frombuffer(pickle.dumps(result), np.uint8)})
        yield place, result


def _key(function: Callable[[Task], Result], task: Task) -> str | None:
    """The key of a task; None if it holds something whose content cannot be told."""
    try:
        content = {"function": told(function), "task": told(task)}
    except TypeError:
        return None
    return content_key(content | {"code": folders_digest(*COMPUTING)})


def told(thing: object) -> object:
    """What a thing is, as JSON can hold it: equal things say the same in every process.

    Raises:
        TypeError: of what is neither a value nor made of values, such as a lambda.
    """
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float):
        return thing.hex()
    if isinstance(thing, np.ndarray | np.generic):
        array = np.ascontiguousarray(thing)
        if array.dtype.hasobject:
            raise TypeError(f"an array of objects: {thing!r}")
        return [kind, str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(thing, range | tuple | list):
        return [kind, *map(told, thing)]
    if isinstance(thing, set | frozenset):
        return [kind, *sorted(json.dumps(told(each)) for each in thing)]
    if isinstance(thing, Mapping):
        return [kind, *([told(key), told(value)] for key, value in thing.items())]
    if isinstance(thing, BaseModel):
        return [kind, *([name, told(getattr(thing, name))] for name in type(thing).model_fields)]
    if isinstance(thing, functools.partial):
        return [kind, told(thing.func), told(thing.args), told(thing.keywords)]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        own = dataclasses.fields(thing)
        return [kind, *([each.name, told(getattr(thing, each.name))] for each in own)]
    name = getattr(thing, "__qualname__", "<nobody>")
    if "<" in name or not callable(thing):
        raise TypeError(f"{thing!r} has no content that can be told")
    return [kind, thing.__module__, name]
