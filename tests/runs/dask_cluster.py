"""A scheduler and workers on loopback, each a process of its own."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE = 60.0  # seconds, for processes to start on a busy machine


def wait_until(holds: Callable[[], object], seconds: float = DEADLINE) -> None:
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < seconds
        time.sleep(0.1)


def said(pattern: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """The first group of the pattern in a log, as soon as it is there."""

    def found() -> bool:
        text = log.read_text(errors="replace")
        assert process.poll() is None, text
        return re.search(pattern, text) is not None

    wait_until(found)
    match = re.search(pattern, log.read_text(errors="replace"))
    assert match is not None
    return match[1]


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


@dataclass
class Cluster:
    """A scheduler, and its workers as far as they live."""

    folder: Path
    stack: contextlib.ExitStack
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def have(self, number: int) -> None:
        """Start workers until so many live."""
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        alive = sum(worker.poll() is None for worker in self.workers)
        started = []
        for _ in range(number - alive):
            name = f"worker{len(self.workers)}"
            command = dask(self.folder, name, "worker", self.address, *options)
            started.append(self.stack.enter_context(command))
            self.workers.append(started[-1][0])
        for process, log in started:
            said(r"Registered to: *(\S+)", process, log)


@contextlib.contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    """A scheduler on loopback without workers."""
    with contextlib.ExitStack() as stack:
        scheduler, log = stack.enter_context(dask(folder, "scheduler", "scheduler", "--port", "0"))
        address = said(r"Scheduler at: *(tcp://127\.0\.0\.1:\d+)", scheduler, log)
        yield Cluster(folder, stack, address, scheduler)
