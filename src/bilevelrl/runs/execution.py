"""Run many independent tasks on some processes, remembering every finished piece.

Workers return results; only the parent writes files. Results do not depend on backend, number of
processes, or which pieces were already known.
"""

import contextlib
import hashlib
import io
import json
import os
import signal
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path

import joblib
import numba
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from bilevelrl.core.arrays import Arrays
from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.problem import Result, Task
from bilevelrl.runs.cluster import on_cluster
from bilevelrl.runs.heap import keep_freed_memory
from bilevelrl.runs.progress import progress
from bilevelrl.runs.runtime import Runtime


def content_key(content: Mapping[str, object]) -> str:
    """SHA-256 of the content as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ResultCache:
    """Arrays by content key in a git-ignored folder; survives kills, never part of a result."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Arrays | None:
        """What was stored under the key, or None; a damaged file is absent, with a warning."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes())) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}); computing it again", stacklevel=2)
            return None

    def has(self, key: str) -> bool:
        """Whether something is stored under the key, damaged or not."""
        return self._path(key).exists()

    def put(self, key: str, arrays: Arrays) -> None:
        """Store in one step: a kill leaves all or nothing."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(self._path(key), buffer.getvalue())

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npz"


def work_folder() -> Path:
    """BILEVELRL_WORK, or .work below DVC_ROOT or the current folder."""
    root = Path(os.environ.get("DVC_ROOT") or ".")
    return Path(os.environ.get("BILEVELRL_WORK") or root / ".work")


def _limited(threads: int, function: Callable[[Task], Result], task: Task) -> Result:
    keep_freed_memory()
    os.environ["OMP_NUM_THREADS"] = "1"
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, most))
    return function(task)


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    runtime: Runtime,
    *,
    weights: Sequence[int] | None = None,
    description: str = "",
) -> Iterator[tuple[int, Result]]:
    """Yield (position, function(task)) as tasks finish, in any order; workers import `function`.

    `weights` are the units of each task, e.g. its seconds, in which progress is shown after
    `description`.

    Raises:
        ConfigError: with the backend "dask", see `cluster.on_cluster`.
        MemoryError: in a worker, or if one of "loky" was killed.
    """
    units = list(weights or [1] * len(tasks))
    with progress(sum(units), description) as advance:
        for position, result in _results(function, tasks, runtime):
            advance(units[position])
            yield position, result


def _results(
    function: Callable[[Task], Result], tasks: Sequence[Task], runtime: Runtime
) -> Iterator[tuple[int, Result]]:
    if runtime.backend == "dask":
        address = str(runtime.dask_scheduler)  # it has one, see `Runtime`
        calls = [(position, runtime.threads, function, task) for position, task in enumerate(tasks)]
        yield from on_cluster(_numbered, calls, address)
        return
    if runtime.jobs == 1 or len(tasks) == 1:
        for position, task in enumerate(tasks):
            yield position, _limited(runtime.threads, function, task)
        return
    # Joblib replaces workers whose memory has grown, and warns of it; no result changes.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    with joblib.parallel_config("loky", inner_max_num_threads=runtime.threads):
        parallel = joblib.Parallel(
            n_jobs=min(runtime.jobs, max(1, len(tasks))), return_as="generator_unordered"
        )
    with _interrupts_held_back():
        results = parallel(
            joblib.delayed(_numbered)(position, runtime.threads, function, task)
            for position, task in enumerate(tasks)
        )
    try:
        # `yield from` would close them before warnings are silenced.
        for numbered in results:  # noqa: UP028
            yield numbered
    except TerminatedWorkerError as error:
        raise MemoryError("a worker process was killed, as happens without memory") from error
    finally:
        with warnings.catch_warnings():  # that tasks are cancelled, which is what we want
            warnings.simplefilter("ignore", UserWarning)
            results.close()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    # Processes that start meanwhile inherit this for life: Ctrl-C, which reaches all processes of a
    # terminal, is then the parent's alone, who ends the others. Its own comes when this is over.
    # The tracker, which would undo this when it starts, has to run before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _numbered(
    position: int, threads: int, function: Callable[[Task], Result], task: Task
) -> tuple[int, Result]:
    return position, _limited(threads, function, task)
