"""Train all missing runs of a grid by one set of workers, before the stages that need them.

Stages of DVC run one after the other, each with workers of its own that start, import and compile,
and one of them is often idle at the end. Runs have keys, so they can be computed in any order; what
is computed here the stages find in the cache.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from bilevelrl.runs.chunks import Chunk, Run
from bilevelrl.runs.execution import ResultCache, run_tasks
from bilevelrl.runs.forecast import Forecast
from bilevelrl.runs.leaders import list_runs, make_chunks, train_timed
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import setting_string


@dataclass(frozen=True)
class Work:
    """What the grid still lacks.

    Attributes:
        chunks: in the order in which workers take them.
        seconds: CPU seconds that each will take.
        known: runs that the cache has.
    """

    chunks: tuple[Chunk, ...]
    seconds: tuple[float, ...]
    known: int

    @property
    def missing(self) -> int:
        """Runs to train."""
        return sum(len(chunk.runs) for chunk in self.chunks)


def missing_work(params: Params, cache: ResultCache, forecast: Forecast) -> Work:
    """All runs of the grid that `cache` does not know, the longest chunks first.

    Before these comes one chunk of every estimator of every kind of problem, so that workers
    compile different kernels first, and find the others' compiled when they need them.
    """
    missing: dict[tuple[str, str], list[Run]] = {}
    known = 0
    for item in params.grid.values():
        cell = item.problem, item.estimator
        runs = list_runs(params, *cell, params.settings(*cell))
        missing[cell] = [run for run in runs if not cache.has(run.key)]
        known += len(runs) - len(missing[cell])
    shared = {problem: params.block(problem).shared() for problem, _ in missing}
    found = [
        (_seconds(chunk, shared[chunk.problem], forecast), chunk)
        for chunk in make_chunks(params, missing)
    ]
    ordered = list(_spread(sorted(found, key=lambda each: each[0], reverse=True)))
    return Work(
        tuple(chunk for _, chunk in ordered), tuple(seconds for seconds, _ in ordered), known
    )


def _seconds(chunk: Chunk, shared: dict[str, object], forecast: Forecast) -> float:
    own = ((setting_string(run.setting.conditions(shared)), run.setting) for run in chunk.runs)
    return sum(
        forecast.run(chunk.problem, chunk.estimator, name, setting.num_updates)
        for name, setting in own
    )


def _spread(found: list[tuple[float, Chunk]]) -> Iterator[tuple[float, Chunk]]:
    waiting: defaultdict[str, list[tuple[float, Chunk]]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    later = []
    for each in found:
        group = (each[1].kind, each[1].estimator)
        if group in seen:
            later.append(each)
        else:
            seen.add(group)
            waiting[group[0]].append(each)
    while any(waiting.values()):
        for own in waiting.values():
            if own:
                yield own.pop(0)
    yield from later


def train_ahead(params: Params, work: Work, cache: ResultCache) -> None:
    """Train all of it; finished chunks are in the cache, whatever happens later."""
    weights = [max(1, round(seconds)) for seconds in work.seconds]
    for position, trained in run_tasks(
        train_timed, work.chunks, params.runtime, weights=weights, description="runs"
    ):
        for run, arrays in zip(work.chunks[position].runs, trained, strict=True):
            cache.put(run.key, arrays)
