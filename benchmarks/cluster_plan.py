"""What ten thousand runs cost on a cluster, from measured bytes and seconds: docs/cluster.md.

`python benchmarks/cluster_plan.py > benchmarks/results/cluster_plan.csv`, where the results of
`make repro` are still in .work (BILEVELRL_WORK names another place). One row per kind of run:
pickled bytes of a task and of its results; CPU seconds of a run, from two short trainings in one
process; CPU milliseconds per task of scheduler and client, with two workers on loopback.
"""

import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
from distributed import LocalCluster

from bilevelrl.core.settings import Setting
from bilevelrl.runs.chunks import Chunk, train_chunk
from bilevelrl.runs.execution import ResultCache, run_tasks, work_folder
from bilevelrl.runs.leaders import CHUNK, list_runs, make_chunks
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.runtime import Runtime

RUNS = 10_000
WORKERS = 100
EMPTY_TASKS = 2000


@dataclass(frozen=True)
class Work:
    """A setting whose runs are planned, and the numbers of updates of the two short trainings."""

    problem: str
    variant: str
    env_steps_per_update: int
    short: tuple[int, int]


WORKS = (
    Work("four_rooms", "published", 1000, (50, 1050)),
    Work("thermal_control", "improved", 10_000, (5, 45)),
    Work("guided_cartpole", "improved", 4000, (1, 4)),
)


def setting_of(params: Params, work: Work) -> Setting:
    """The first setting of the BC-HG cell that fits."""
    asked = (work.variant, work.env_steps_per_update)
    return next(
        setting
        for setting in params.settings(work.problem, "bc_hg")
        if (setting.variant, getattr(setting, "env_steps_per_update", None)) == asked
    )


def full_task(params: Params, problem: str, setting: Setting) -> Chunk:
    """A task of as many runs as the stage `leaders` would put together."""
    many = setting.model_copy(update={"num_seeds": CHUNK * params.runtime.jobs})
    return make_chunks(params, {(problem, "bc_hg"): list_runs(params, problem, "bc_hg", [many])})[0]


def result_bytes(params: Params, problem: str, setting: Setting) -> float:
    """Pickled bytes of a run's arrays, the mean over the cached runs of the setting."""
    cache = ResultCache(work_folder() / "runs")
    runs = list_runs(params, problem, "bc_hg", [setting])
    found = [arrays for run in runs if (arrays := cache.get(run.key)) is not None]
    if not found:
        sys.exit(f"error: {work_folder()}/runs has no run of {problem} bc_hg: `make repro` first")
    return len(pickle.dumps(found)) / len(found)


def runtime(backend: str, scheduler: str | None) -> Runtime:
    """One thread; with loky a single task stays in this process."""
    content = {"jobs": 1, "threads": 1, "backend": backend, "dask_scheduler": scheduler}
    return Runtime.model_validate(content)


def cpu_seconds(chunk: Chunk, num_updates: int) -> float:
    """CPU seconds of a training of so many updates in this process."""
    runs = tuple(
        replace(run, setting=run.setting.model_copy(update={"num_updates": num_updates}))
        for run in chunk.runs
    )
    begin = time.process_time()
    list(run_tasks(train_chunk, [replace(chunk, runs=runs)], runtime("loky", None)))
    return time.process_time() - begin


def seconds_per_run(chunk: Chunk, short: tuple[int, int]) -> tuple[float, float]:
    """CPU seconds of a whole run, and of what a worker compiles before its first one."""
    few, many = short
    cold = cpu_seconds(chunk, few)
    start, later = cpu_seconds(chunk, few), cpu_seconds(chunk, many)
    each = (later - start) / (many - few)
    whole = start + each * (chunk.runs[0].setting.num_updates - few)
    return whole / len(chunk.runs), max(0.0, cold - start)


def ms_per_task() -> float:
    """CPU milliseconds per task of scheduler and client, here one process; workers count not."""
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        there = runtime("dask", cluster.scheduler_address)
        list(run_tasks(abs, range(10), there))
        begin = time.process_time()
        list(run_tasks(abs, range(EMPTY_TASKS), there))
        return 1e3 * (time.process_time() - begin) / EMPTY_TASKS


def rows(params: Params) -> Iterator[dict[str, str | float]]:
    """One row per kind of run."""
    overhead = ms_per_task()
    for work in WORKS:
        setting = setting_of(params, work)
        chunk = full_task(params, work.problem, setting)
        seconds, compiling = seconds_per_run(chunk, work.short)
        sent, back = len(pickle.dumps(chunk)), result_bytes(params, work.problem, setting)
        together = len(chunk.runs)
        tasks = -(-RUNS // together)
        rounds = -(-tasks // WORKERS)
        yield {
            "problem": work.problem,
            "estimator": "bc_hg",
            "variant": work.variant,
            "env_steps_per_update": work.env_steps_per_update,
            "runs": RUNS,
            "runs_per_task": together,
            "tasks": tasks,
            "task_kb": sent / 1e3,
            "result_kb_per_run": back / 1e3,
            "sent_mb": sent * tasks / 1e6,
            "returned_mb": back * RUNS / 1e6,
            "cpu_seconds_per_run": seconds,
            "compile_seconds": compiling,
            "cpu_hours": seconds * RUNS / 3600,
            "workers": WORKERS,
            "wall_hours": (rounds * together * seconds + compiling) / 3600,
            "scheduler_ms_per_task": overhead,
            "scheduler_seconds": overhead * tasks / 1e3,
        }


if __name__ == "__main__":
    table = pd.DataFrame(rows(read_params()))
    table.to_csv(sys.stdout, index=False, float_format="%.4g", lineterminator="\n")
