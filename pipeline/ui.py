"""MLflow's UI, with links to the current runs of this clone: `python -m pipeline.ui --port 5000`.

Syncs first, then starts the server, and says where it is once it answers. With MLFLOW_TRACKING_URI
on a server, the links lead there. Ctrl-C stops it.
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
from pathlib import Path

from bilevelrl.tracking.finished_runs import experiment_of
from bilevelrl.tracking.tracker import Tracker
from bilevelrl.tracking.workspace import tracking_uri
from pipeline import mlflow_sync
from pipeline.stage import run_stage

HOST = "127.0.0.1"
LAST_PORT = 65535
PATIENCE = 180.0  # seconds, for a server that starts on a busy machine
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main(port: int, root: Path) -> int:
    """Sync, serve and wait; exit status 0 after Ctrl-C, and if a server now shows what is there."""
    uri = tracking_uri(root)
    remote = uri.startswith(("http://", "https://"))
    if not remote and (why := unusable(port)):
        print(f"error: port {port}: {why}", file=sys.stderr)
        return 1
    status = mlflow_sync.main(root / "data" / "leaders", root)
    if remote:
        if status == 0:
            print_links(Tracker.here(root), uri.rstrip("/"))
        return status
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
    """Start the server, print where it is when it answers, and wait for its end or for Ctrl-C."""
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    # A session of its own: Ctrl-C is for us, who stop it without a traceback.
    server = subprocess.Popen(command, env=SETTINGS | os.environ, start_new_session=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"http://{HOST}:{port}"
    try:
        if not answers(server, address):
            print(f"error: MLflow did not start at {address}, see above", file=sys.stderr)
            return 1
        print_links(Tracker.here(root), address)
        print(f"MLflow runs at {address}, Ctrl-C stops it", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(server)


def answers(server: "subprocess.Popen[bytes]", address: str) -> bool:
    """Whether the server answers before it ends and in time."""
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return server.poll() is None
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    return False


def stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and whatever it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(timeout=10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def print_links(tracker: Tracker, address: str) -> None:
    """Where the current runs of this clone are, experiment by experiment."""
    for experiment in sorted(set(map(experiment_of, tracker.current_cells()))):
        page, setting = tracker.page(experiment)
        print(f"{' '.join(filter(None, (experiment, setting)))}\n    {address}/{page}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    run_stage(lambda: sys.exit(main(arguments.port, Path.cwd())))
