"""Train all missing runs of a grid by one set of workers, before the stages that need them.

Stages of DVC run one after the other, each with workers of its own that start, import and compile,
and one of them is often idle at the end. Runs have keys, so they can be computed in any order; what
is computed here the stages find in the cache.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from bilevelrl.runs.chunks import Chunk, Run
from bilevelrl.runs.execution import ResultCache, run_tasks
from bilevelrl.runs.forecast import Forecast
from bilevelrl.runs.leaders import list_runs, make_chunks, train_timed
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import setting_string

#: Chunks per process from which on runs of a setting stay together: an update takes some time
#: however many runs it is of.
_MANY = 4


@dataclass(frozen=True)
class Work:
    """What the grid still lacks.

    Attributes:
        chunks: in the order in which workers take them.
        seconds: CPU seconds that each will take.
        known: runs that the cache has.
        first: how many of the chunks come first so that workers compile.
    """

    chunks: tuple[Chunk, ...]
    seconds: tuple[float, ...]
    known: int
    first: int = 0

    @property
    def missing(self) -> int:
        """Runs to train."""
        return sum(len(chunk.runs) for chunk in self.chunks)


def missing_work(params: Params, cache: ResultCache, forecast: Forecast) -> Work:
    """All runs of the grid that `cache` does not know, the longest chunks first.

    Before these comes one chunk of every estimator of every kind of problem, the shortest, so that
    workers compile different kernels first, and find the others' compiled when they need them.
    """
    missing: dict[tuple[str, str], list[Run]] = {}
    known = 0
    for item in params.grid.values():
        cell = item.problem, item.estimator
        runs = list_runs(params, *cell, params.settings(*cell))
        missing[cell] = [run for run in runs if not cache.has(run.key)]
        known += len(runs) - len(missing[cell])
    chunks = _chunks(params, missing, spread=False)
    if len(chunks) < _MANY * params.runtime.jobs:
        chunks = _chunks(params, missing, spread=True)
    shared = {problem: params.block(problem).shared() for problem, _ in missing}
    found = [(_seconds(chunk, shared[chunk.problem], forecast), chunk) for chunk in chunks]
    ordered = sorted(found, key=lambda each: each[0], reverse=True)
    first = _first(ordered)
    chosen = {id(chunk) for _, chunk in first}
    ordered = [*first, *(each for each in ordered if id(each[1]) not in chosen)]
    return Work(
        tuple(chunk for _, chunk in ordered),
        tuple(seconds for seconds, _ in ordered),
        known,
        len(first),
    )


def _chunks(
    params: Params, missing: dict[tuple[str, str], list[Run]], *, spread: bool
) -> list[Chunk]:
    return [
        chunk
        for cell, runs in missing.items()
        for chunk in make_chunks(params, *cell, runs, spread=spread)
    ]


def _seconds(chunk: Chunk, shared: dict[str, object], forecast: Forecast) -> float:
    own = ((setting_string(run.setting.conditions(shared)), run.setting) for run in chunk.runs)
    return sum(
        forecast.run(chunk.problem, chunk.estimator, name, setting.num_updates)
        for name, setting in own
    )


def _first(ordered: list[tuple[float, Chunk]]) -> list[tuple[float, Chunk]]:
    """The shortest chunk of every estimator of every kind of problem, the kinds in turn."""
    shortest = {(chunk.kind, chunk.estimator): (seconds, chunk) for seconds, chunk in ordered}
    waiting: defaultdict[str, list[tuple[float, Chunk]]] = defaultdict(list)
    for (kind, _), each in shortest.items():
        waiting[kind].append(each)
    rounds = zip_longest(*waiting.values())
    return [each for one in rounds for each in one if each is not None]


def train_ahead(
    params: Params, work: Work, cache: ResultCache, compiled: Callable[[], None] = lambda: None
) -> None:
    """Train all of it; finished chunks are in the cache, whatever happens later.

    `compiled` is called once, when workers have compiled most of what they need.
    """
    weights = [max(1, round(seconds)) for seconds in work.seconds]
    missing = set(range(work.first))
    for position, trained in run_tasks(
        train_timed, work.chunks, params.runtime, weights=weights, description="runs"
    ):
        for run, arrays in zip(work.chunks[position].runs, trained, strict=True):
            cache.put(run.key, arrays)
        if position in missing:
            missing.remove(position)
            if not missing:
                compiled()
