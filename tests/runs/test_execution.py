"""Where and how tasks run changes nothing in their results; finished pieces survive."""

import contextlib
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs import execution
from bilevelrl.runs.chunks import Chunk, train_chunk
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import read_params
from bilevelrl.runs.runtime import Runtime

ROOT = Path(__file__).parents[2]


DEADLINE = 60.0  # seconds, for processes to start on a busy machine


def runtime(jobs: int = 1, scheduler: str | None = None) -> Runtime:
    backend = "dask" if scheduler else "loky"
    return Runtime.model_validate(
        {"jobs": jobs, "threads": 1, "backend": backend, "dask_scheduler": scheduler}
    )


def small_chunks() -> list[Chunk]:
    """Eight runs of BC-HG in four chunks: exact, truncated and learning followers."""
    params = read_params(ROOT / "params.yaml")
    settings = [
        setting.model_copy(update={"num_updates": 5, "num_seeds": 2})
        for setting in params.settings("four_rooms", "bc_hg")
    ]
    kinds = {(s.variant, s.follower.kind): s for s in settings if s.env_steps_per_update == 100}
    runs = list_runs(params, "four_rooms", "bc_hg", list(kinds.values()))
    return make_chunks(params, "four_rooms", "bc_hg", runs)


def results(chunks: list[Chunk], runtime: Runtime) -> list[list[dict[str, bytes]]]:
    """The bytes of all arrays of all runs of every chunk."""
    found = dict(run_tasks(train_chunk, chunks, runtime, weights=[2] * len(chunks)))
    assert sorted(found) == list(range(len(chunks)))
    return [
        [{name: array.tobytes() for name, array in run.items()} for run in found[position]]
        for position in range(len(chunks))
    ]


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    return small_chunks()


@pytest.fixture(scope="module")
def expected(chunks: list[Chunk]) -> list[list[dict[str, bytes]]]:
    """In this process, one after the other."""
    assert len(chunks) == 4
    assert {run.setting.follower.kind for chunk in chunks for run in chunk.runs} == {
        "exact", "truncated", "soft_q",
    }  # fmt: skip
    return results(chunks, runtime(jobs=1))


def test_two_processes_give_the_bytes_of_one(
    chunks: list[Chunk], expected: list[list[dict[str, bytes]]]
) -> None:
    assert results(chunks, runtime(jobs=2)) == expected


def wait_for(pattern: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """The first group of the pattern in a log, as soon as it is there."""
    begin = time.monotonic()
    while not (found := re.search(pattern, text := log.read_text(errors="replace"))):
        assert process.poll() is None, text
        assert time.monotonic() - begin < DEADLINE, text
        time.sleep(0.1)
    return found[1]


@contextlib.contextmanager
def dask(
    folder: Path, name: str, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A `dask` command on loopback, in a folder and a process of its own, ended afterwards."""
    log = folder / f"{name}.log"
    local = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, *local],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two workers, three processes in all."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    folder = tmp_path_factory.mktemp("dask")
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(dask(folder, "scheduler", "scheduler", "--port", "0"))
        address = wait_for(r"Scheduler at: *(tcp://127\.0\.0\.1:\d+)", *started)
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        workers = [
            stack.enter_context(dask(folder, f"worker{i}", "worker", address, *options))
            for i in range(2)
        ]
        for worker in workers:
            wait_for(r"Registered to: *(\S+)", *worker)
        yield address


def test_a_dask_cluster_gives_the_bytes_of_this_machine(
    scheduler: str, chunks: list[Chunk], expected: list[list[dict[str, bytes]]]
) -> None:
    assert results(chunks, runtime(scheduler=scheduler)) == expected
    # A second client of the same cluster; the number of local processes does not matter there.
    assert results(chunks[:1], runtime(jobs=7, scheduler=scheduler)) == expected[:1]


def test_tasks_run_in_the_workers_of_the_cluster(scheduler: str) -> None:
    process = ["__import__('os').getpid()"] * 20
    found = {pid for _, pid in run_tasks(eval, process, runtime(scheduler=scheduler))}
    assert os.getpid() not in found
    assert 1 <= len(found) <= 2


def test_an_error_in_a_task_on_the_cluster_reaches_the_caller(scheduler: str) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run_tasks(math.sqrt, [4.0, -1.0], runtime(scheduler=scheduler)))


def process_of(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_task_reaches_the_caller(jobs: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run_tasks(math.sqrt, [4.0, -1.0, 9.0], runtime(jobs)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_with_the_position_of_their_task(jobs: int) -> None:
    assert dict(run_tasks(math.sqrt, [1.0, 4.0, 9.0], runtime(jobs))) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert list(run_tasks(math.sqrt, [], runtime(jobs))) == []


def test_a_single_task_needs_no_second_process() -> None:
    assert dict(run_tasks(process_of, [0], runtime(jobs=2))) == {0: os.getpid()}


def test_finished_tasks_are_handed_over_before_the_last_one_ends() -> None:
    done: list[int] = []

    def note(number: int) -> int:
        done.append(number)
        return number

    for position, _ in run_tasks(note, range(3), runtime(jobs=1)):
        assert done == list(range(position + 1))


def test_no_progress_bar_disturbs_what_is_not_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list(run_tasks(math.sqrt, [1.0, 4.0], runtime(jobs=1), weights=[5, 5], description="cell"))
    assert capsys.readouterr() == ("", "")


def test_a_scheduler_that_nobody_runs_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="the extra is not installed")

    def nobody(address: str) -> None:
        raise OSError(f"Timed out trying to connect to {address}\nafter 30 s")

    monkeypatch.setattr(distributed, "Client", nobody)
    with pytest.raises(ConfigError, match=r"dask_scheduler = tcp://127\.0\.0\.1:9: nobody") as said:
        next(run_tasks(abs, [1, 2], runtime(scheduler="tcp://127.0.0.1:9")))
    assert "\n" not in str(said.value)


def test_dask_that_is_not_installed_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ConfigError, match=r"backend = dask: not installed; pip install") as said:
        next(run_tasks(abs, [1, 2], runtime(scheduler="tcp://127.0.0.1:9")))
    assert "\n" not in str(said.value)


def test_there_are_no_more_processes_than_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Parallel(joblib.Parallel):  # type: ignore[misc]
        def __init__(self, n_jobs: int, **options: str) -> None:
            asked.append(n_jobs)
            super().__init__(n_jobs=n_jobs, **options)

    monkeypatch.setattr("bilevelrl.runs.execution.joblib.Parallel", Parallel)
    assert sorted(run_tasks(abs, [-1, -2], runtime(jobs=1000))) == [(0, 1), (1, 2)]
    assert asked == [2]


def test_a_worker_with_other_code_is_refused(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "package_digest", lambda: "of a stage with other code")
    with pytest.raises(ConfigError, match=r"the worker on \S+ runs other code or packages"):
        list(run_tasks(abs, range(2), runtime(scheduler=scheduler)))
