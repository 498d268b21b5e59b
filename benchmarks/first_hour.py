"""What a new user waits for: `python benchmarks/first_hour.py --save quick repro`.

For every target a clone of the last commit, an environment of its own, and empty caches of kernels
and runs: seconds of `make environment`, of the target once that is there, and until `make ui`
answers afterwards, the first time and again. `--save` adds the rows to
benchmarks/results/first_hour.csv. Only an idle machine says anything.
"""

import argparse
import datetime
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd

from bilevelrl.reporting.page.machine import processor

HERE = Path(__file__).absolute().parent
RESULTS = HERE / "results" / "first_hour.csv"
PORT = 5087
#: What would let a clone see what others computed, or log elsewhere.
FOREIGN = ("NUMBA_CACHE_DIR", "BILEVELRL_WORK", "MLFLOW_TRACKING_URI", "PYTHONPATH", "VIRTUAL_ENV")


def seconds(command: list[str], clone: Path, environment: dict[str, str]) -> float:
    """Of a command that succeeds."""
    started = time.monotonic()
    subprocess.run(command, cwd=clone, env=environment, stdout=sys.stderr, check=True)
    return time.monotonic() - started


def seconds_until_served(clone: Path, environment: dict[str, str]) -> float:
    """Until the page of `make ui` is there; then it is stopped, once it has said its links."""
    started = time.monotonic()
    command = ["make", "ui", f"PORT={PORT}"]
    server = subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    while not _answers():
        if server.poll() is not None:
            raise RuntimeError(f"make ui ended with status {server.returncode}")
        time.sleep(0.1)
    waited = time.monotonic() - started
    time.sleep(60.0)  # it brings the store up to date beside serving
    os.killpg(server.pid, signal.SIGINT)
    server.communicate(timeout=60.0)
    return waited


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def measure(target: str, folder: Path) -> dict[str, float]:
    """Seconds by what was waited for."""
    clone = folder / target
    subprocess.run(["git", "clone", "--quiet", HERE.parent, clone], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment["XDG_CACHE_HOME"] = str(folder / f"cache-{target}")
    return {
        "make environment": seconds(["make", "environment"], clone, environment),
        f"make {target}": seconds(["make", target], clone, environment),
        f"make ui after make {target}": seconds_until_served(clone, environment),
        f"make ui again after make {target}": seconds_until_served(clone, environment),
    }


def main(targets: list[str], folder: Path, save: bool) -> None:
    """Measure one target after the other; print, and save, after each."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=HERE, capture_output=True, text=True, check=True).stdout
    for target in targets:
        rows = [
            {
                "what": what,
                "seconds": round(value, 1),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "processor": processor(),
                "cores": os.cpu_count(),
                "commit": commit.strip(),
            }
            for what, value in measure(target, folder).items()
        ]
        found = pd.DataFrame(rows)
        found.to_csv(sys.stdout, index=False, lineterminator="\n")
        if save:
            known = [pd.read_csv(RESULTS)] if RESULTS.exists() else []
            saved = pd.concat([*known, found])
            saved["time"] = saved.groupby("what").cumcount() + 1  # the first, second, ... one
            saved.to_csv(RESULTS, index=False, lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=["quick", "repro"], help="of the Makefile")
    parser.add_argument("--folder", type=Path, help="an empty folder, kept; else a temporary one")
    parser.add_argument("--save", action="store_true", help="in benchmarks/results")
    arguments = parser.parse_args()
    # A shell starts what runs in its background with Ctrl-C ignored, and so would be `make ui`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as temporary:
        main(arguments.targets, arguments.folder or Path(temporary), arguments.save)
