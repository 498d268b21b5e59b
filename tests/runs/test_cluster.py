"""A Dask cluster gives the results of this machine, also when a part of it dies."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs import cluster as on_workers
from bilevelrl.runs.chunks import Chunk, train_chunk
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import read_params
from bilevelrl.runs.runtime import Runtime
from tests.runs.dask_cluster import Cluster, cluster_in, wait_until

ROOT = Path(__file__).parents[2]
Bytes = list[dict[str, bytes]]  # of all arrays of all runs of a chunk


def runtime(jobs: int = 1, scheduler: str | None = None) -> Runtime:
    backend = "dask" if scheduler else "loky"
    return Runtime.model_validate(
        {"jobs": jobs, "threads": 1, "backend": backend, "dask_scheduler": scheduler}
    )


def in_bytes(trained: list[dict[str, Any]]) -> Bytes:
    return [{name: array.tobytes() for name, array in run.items()} for run in trained]


def results(chunks: list[Chunk], runtime: Runtime) -> dict[int, Bytes]:
    found = run_tasks(train_chunk, chunks, runtime, weights=[2] * len(chunks))
    return {position: in_bytes(trained) for position, trained in found}


@pytest.fixture(autouse=True)
def not_for_ever() -> Iterator[None]:
    """A test that hangs ends this process, and says on standard error where it was."""
    faulthandler.dump_traceback_later(180.0, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    """Eight runs of BC-HG in four chunks: exact, truncated and learning followers."""
    params = read_params(ROOT / "params.yaml")
    settings = [
        setting.model_copy(update={"num_updates": 5, "num_seeds": 2})
        for setting in params.settings("four_rooms", "bc_hg")
        if setting.variant != "improved"
    ]
    kinds = {(s.variant, s.follower.kind): s for s in settings if s.env_steps_per_update == 100}
    runs = list_runs(params, "four_rooms", "bc_hg", list(kinds.values()))
    return make_chunks(params, {("four_rooms", "bc_hg"): runs})


@pytest.fixture(scope="module")
def expected(chunks: list[Chunk]) -> dict[int, Bytes]:
    """In this process, one after the other."""
    assert len(chunks) == 4
    assert {run.setting.follower.kind for chunk in chunks for run in chunk.runs} == {
        "exact", "truncated", "soft_q",
    }  # fmt: skip
    return results(chunks, runtime(jobs=1))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with cluster_in(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Any]:
    """Another client, which sees what the stage's client asked for."""
    from dask.distributed import Client

    with Client(cluster.address) as found:
        yield found


def test_two_processes_give_the_bytes_of_one(
    chunks: list[Chunk], expected: dict[int, Bytes]
) -> None:
    assert results(chunks, runtime(jobs=2)) == expected


def kill_a_busy_worker(client: Any, processes: dict[str, int]) -> None:
    """SIGKILL to a worker that has begun a task, which it cannot end while it is looked at."""
    for address in (name for _ in range(100) for name in processes):
        os.kill(processes[address], signal.SIGSTOP)
        time.sleep(0.1)
        if client.processing()[address]:
            os.kill(processes[address], signal.SIGKILL)
            return
        os.kill(processes[address], signal.SIGCONT)
        time.sleep(0.1)


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_this_machine(
    cluster: Cluster, client: Any, chunks: list[Chunk], expected: dict[int, Bytes]
) -> None:
    cluster.have(2)
    processes = client.run(os.getpid)
    assert len(processes) == 2
    # From the first task on, for which a worker imports everything: others are over in no time.
    killer = threading.Thread(target=kill_a_busy_worker, args=(client, processes))
    killer.start()
    found = {
        position: in_bytes(trained)
        for position, trained in run_tasks(train_chunk, chunks, runtime(scheduler=cluster.address))
    }
    killer.join()
    assert found == expected
    wait_until(lambda: sum(worker.poll() is None for worker in cluster.workers) == 1)
    # The number of local processes does not matter there.
    again = results(chunks[:1], runtime(jobs=7, scheduler=cluster.address))
    assert again == {0: expected[0]}


def test_tasks_run_in_the_workers_of_the_cluster(cluster: Cluster) -> None:
    cluster.have(2)
    tasks = ["__import__('os').getpid()"] * 20
    found = {pid for _, pid in run_tasks(eval, tasks, runtime(scheduler=cluster.address))}
    assert found <= {worker.pid for worker in cluster.workers}


def test_the_cluster_forgets_what_was_handed_over(
    cluster: Cluster, client: Any, tmp_path: Path
) -> None:
    """A lost worker then repeats no task that had ended, and workers' memory does not fill up."""
    cluster.have(2)
    go = str(tmp_path / "go")
    there = f"__import__('os.path').path.exists({go!r})"
    slow = f"any(__import__('time').sleep(0.1) for _ in iter(lambda: {there}, True))"
    found = []
    for position, _ in run_tasks(eval, [slow, "1", "2"], runtime(scheduler=cluster.address)):
        found.append(position)
        if len(found) == 2:

            def known(dask_scheduler: Any = None) -> int:
                return len(dask_scheduler.tasks)

            wait_until(lambda: client.run_on_scheduler(known) == 1, seconds=10.0)
            Path(go).touch()
    assert sorted(found[:2]) == [1, 2]
    assert found[2:] == [0]


def test_an_error_in_a_task_on_the_cluster_reaches_the_caller(cluster: Cluster) -> None:
    cluster.have(1)
    with pytest.raises(ZeroDivisionError):
        list(run_tasks(eval, ["4", "1/0"], runtime(scheduler=cluster.address)))


def test_a_worker_with_other_code_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.have(1)
    monkeypatch.setattr(on_workers, "package_digest", lambda: "of a stage with other code")
    with pytest.raises(ConfigError, match=r"the worker on \S+ runs other code or packages"):
        list(run_tasks(eval, ["1", "2"], runtime(scheduler=cluster.address)))


def test_a_task_that_kills_its_workers_is_said_in_one_line(cluster: Cluster, client: Any) -> None:
    cluster.have(1)

    def forgive_none(dask_scheduler: Any = None) -> None:
        dask_scheduler.allowed_failures = 0

    client.run_on_scheduler(forgive_none)
    deadly = "__import__('os').kill(__import__('os').getpid(), 9)"
    with pytest.raises(ConfigError, match=r"1 workers died with the same task.* memory") as told:
        list(run_tasks(eval, [deadly], runtime(scheduler=cluster.address)))
    assert "\n" not in str(told.value)


def test_a_scheduler_that_dies_is_said_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with cluster_in(tmp_path) as cluster:
        killer = threading.Timer(1.0, cluster.scheduler.kill)
        killer.start()
        with pytest.raises(ConfigError, match=r"dask_scheduler = \S+: it stopped; start") as told:
            list(run_tasks(eval, ["1"], runtime(scheduler=cluster.address)))
        assert "\n" not in str(told.value)


def test_a_scheduler_that_nobody_runs_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="the extra is not installed")

    def nobody(address: str) -> None:
        raise OSError(f"Timed out trying to connect to {address}\nafter 30 s")

    monkeypatch.setattr(distributed, "Client", nobody)
    with pytest.raises(ConfigError, match=r"dask_scheduler = tcp://127\.0\.0\.1:9: nobody") as told:
        next(run_tasks(abs, [1, 2], runtime(scheduler="tcp://127.0.0.1:9")))
    assert "\n" not in str(told.value)


def test_dask_that_is_not_installed_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ConfigError, match=r"backend = dask: not installed; pip install") as told:
        next(run_tasks(abs, [1, 2], runtime(scheduler="tcp://127.0.0.1:9")))
    assert "\n" not in str(told.value)
