"""MLflow's UI, with links to the current runs of this clone: `python -m pipeline.ui --port 5000`.

Starts the server, brings MLflow up to date beside it, and says where everything is once the server
answers. With MLFLOW_TRACKING_URI on a server, the links lead there. Ctrl-C stops it.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import chain
from pathlib import Path

from bilevelrl.tracking.client import database
from bilevelrl.tracking.workspace import computed_profiles, tracking_uri
from pipeline.stage import run_stage

HOST = "127.0.0.1"
LAST_PORT = 65535
PATIENCE = 180.0  # seconds, for a server that starts on a busy machine
SYNC = (sys.executable, "-m", "pipeline.mlflow_sync")
REMEDY = "`python -m pipeline.mlflow_sync` brings it up to date"
Process = subprocess.Popen[bytes]


def main(port: int, root: Path) -> int:
    """Sync, serve and wait; exit status 0 after Ctrl-C, and if a server now shows what is there."""
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        from pipeline import mlflow_sync

        status = mlflow_sync.main(root / "data" / "leaders", root)
        if status == 0:
            Links(root, uri.rstrip("/")).print_new()
        return status
    if why := unusable(port):
        print(f"error: port {port}: {why}", file=sys.stderr)
        return 1
    return serve(uri, port, root)


def unusable(port: int) -> str:
    """Why nobody can listen at a port, empty if one can."""
    if not 0 < port <= LAST_PORT:
        return f"there are ports 1 to {LAST_PORT}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = port + 1 if port < LAST_PORT else port - 1
            why = (error.strerror or str(error)).lower()
            return f"{why}; `make ui PORT={other}` takes another"
    return ""


def serve(uri: str, port: int, root: Path) -> int:
    """Start server and sync, print where things are, and wait for the server's end or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"http://{HOST}:{port}"
    started: list[Process] = []
    try:
        create_store(uri, root)
        command = (sys.executable, "-m", "pipeline.mlflow_server", uri, HOST, str(port))
        started.append(server := start(command, root))
        started.append(sync := start(SYNC, root))
        links = Links(root, address)
        links.pages()  # what this has to write it writes while the server starts
        if not answers(server, address):
            print(f"error: MLflow did not start at {address}, see above", file=sys.stderr)
            return 1
        links.print_new()
        print(f"MLflow runs at {address}, Ctrl-C stops it", flush=True)
        report(sync, links)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in started:
            stop(process)


def create_store(uri: str, root: Path) -> None:
    """Make the tables if there may be none: a server and a sync must not both do it."""
    path = database(uri)
    if path is None or not path.is_file() or path.stat().st_size == 0:
        Links(root, "").pages()


def start(command: tuple[str, ...], root: Path) -> Process:
    """Start a process in a session of its own: Ctrl-C is for us, who stop it."""
    return subprocess.Popen(command, cwd=root, start_new_session=True)


def report(sync: Process, links: "Links") -> None:
    """Wait for the sync, saying so if it takes longer than the server, and print what it added."""
    if sync.poll() is None:
        print("MLflow is still being brought up to date with data/: reload for more", flush=True)
        sync.wait()
        if sync.returncode == 0:
            links.print_new()
            print("MLflow is up to date", flush=True)
    if sync.returncode:
        print(f"MLflow is not up to date, see above; {REMEDY}", file=sys.stderr, flush=True)


def answers(server: Process, address: str) -> bool:
    """Whether the server answers before it ends and in time."""
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return server.poll() is None
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    return False


def stop(process: Process) -> None:
    """End a process and whatever it has started, if it runs."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


class Links:
    """Where the current runs of a clone are, experiment by experiment."""

    def __init__(self, root: Path, address: str) -> None:
        self._root, self._address = root, address
        self._printed: set[str] = set()

    def pages(self) -> dict[str, tuple[str, str]]:
        """The page of every experiment below the address, and the setting that it shows.

        Of the profiles, where the grid itself has not been computed.
        """
        profiles = ((f"{name}: ", name) for name in computed_profiles(self._root))
        return self._of("", "") or dict(
            chain.from_iterable(self._of(title, name).items() for title, name in profiles)
        )

    def _of(self, title: str, profile: str) -> dict[str, tuple[str, str]]:
        from bilevelrl.tracking.finished_runs import experiment_of  # half a second
        from bilevelrl.tracking.tracker import Tracker

        tracker = Tracker.here(self._root, profile)
        current = sorted(set(map(experiment_of, tracker.current_cells())))
        return {f"{title}{experiment}": tracker.page(experiment) for experiment in current}

    def print_new(self) -> None:
        """Print what was not printed before."""
        for experiment, (page, setting) in self.pages().items():
            if experiment not in self._printed:
                name = " ".join(filter(None, (experiment, setting)))
                print(f"{name}\n    {self._address}/{page}", flush=True)
            self._printed.add(experiment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    run_stage(lambda: sys.exit(main(arguments.port, Path.cwd())))
