"""Scripts that a user, the disk or the memory ends: in one line, keeping what is finished."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.runtime import Runtime
from bilevelrl.runs.table_files import CorruptRecord
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from pipeline.profile import alone
from pipeline.stage import run_stage, wait

ROOT = Path(__file__).parents[2]
DEADLINE = 300.0  # seconds, for kernels to compile on a busy machine
NUM_SEEDS = 200


def die_for_lack_of_memory(task: int) -> None:
    """As the kernel ends a process when memory is out."""
    del task
    os.kill(os.getpid(), signal.SIGKILL)


def lack_memory(task: int) -> None:
    """As Python says it."""
    raise MemoryError(f"task {task}")


def two_workers(function: Callable[[int], None]) -> Callable[[], None]:
    content = {"jobs": 2, "threads": 1, "backend": "loky", "dask_scheduler": None}
    return lambda: list(run_tasks(function, [0, 1], Runtime.model_validate(content))) and None


def raising(error: BaseException) -> Callable[[], None]:
    def stage() -> None:
        raise error

    return stage


def tidying_up_badly() -> None:
    """As a zip file that Ctrl-C finds half written."""
    try:
        raise KeyboardInterrupt
    finally:
        raise ValueError("Can't close the ZIP file while there is an open writing handle on it.")


@pytest.mark.parametrize(
    ("stage", "status", "expected"),
    [
        (raising(ConfigError("a.b = 1: no")), 1, "error: a.b = 1: no"),
        (raising(CorruptRecord("x.csv: empty")), 1, "error: x.csv: empty"),
        (raising(KeyboardInterrupt()), 130, "interrupted; finished runs are kept, `dvc repro`"),
        (tidying_up_badly, 130, "interrupted; finished runs are kept"),
        (raising(OSError(errno.ENOSPC, "No space left on device", "a/b")), 1,
         "error: a/b: No space left on device: free some space; finished runs are kept"),
        (raising(OSError(errno.EROFS, "Read-only file system", "a/b")), 1,
         "error: a/b: Read-only file system: use a folder that can be written to"),
        (raising(PermissionError(errno.EACCES, "Permission denied", "a/b")), 1,
         "error: a/b: Permission denied: allow writing there"),
        (raising(NotConverged("run 0 is only accurate to 1e-12")), 1,
         "error: run 0 is only accurate to 1e-12; raise followers.max_iterations or followers.tol"),
        (raising(MemoryError()), 1, "error: out of memory (no reason given): lower runtime.jobs"),
        (two_workers(lack_memory), 1, "error: out of memory (task "),
        (two_workers(die_for_lack_of_memory), 1, "error: out of memory (a worker process was"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], stage: Callable[[], None], status: int, expected: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        run_stage(stage)
    code = ending.value.code
    text = f"{code}\n" if isinstance(code, str) else capsys.readouterr().err
    assert (1 if isinstance(code, str) else code) == status
    assert text.startswith(expected)
    assert text.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("no errno")])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_stage(raising(error))
    assert caught.value is error


def test_a_folder_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file/runs: Not a directory: .*finished runs") as ending:
        run_stage(lambda: write_atomically(tmp_path / "file" / "runs" / "x", b""))
    assert "\n" not in str(ending.value)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder, with an unusual name, in which one stage can run; a cell of ten chunks."""
    content = read_mapping(ROOT / "params.yaml")
    entry = {"variant": "corrected", "temperature": 0.003, "step_size": 0.5, "num_updates": 200}
    content["problems"]["four_rooms"]["cells"]["exact"] = {"corrected": entry}
    content["problems"]["four_rooms"]["seeds"]["num_seeds"] = NUM_SEEDS
    content["runtime"]["jobs"] = 2
    folder = tmp_path / "50% of a θ?"
    write_atomically(folder / "params.yaml", mapping_text(content).encode())
    write_atomically(folder / "data" / "followers" / "four_rooms" / "accuracy.json", b"[]")
    return folder


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start commands in process groups of their own, as a terminal does; they end with the test."""
    started = []

    def start_one(*command: str) -> "subprocess.Popen[str]":
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BILEVELRL_")}
        started.append(
            subprocess.Popen(
                [sys.executable, *command],
                cwd=project,
                env=kept | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(reached: Callable[[], Any], process: "subprocess.Popen[str]") -> None:
    begin = time.monotonic()
    while not reached():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() - begin < DEADLINE
        time.sleep(0.05)


def members(group: int) -> list[str]:
    """Running processes of a group; those that are over but not yet reaped do not count."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, check=True, text=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def test_ctrl_c_ends_a_stage_and_its_workers_in_one_line_and_keeps_finished_runs(
    project: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start("-m", "pipeline.leaders", "four_rooms", "exact")
    wait_until(lambda: list(project.glob(".work/runs/*/*.npz")), process)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, text) == (
        130,
        "interrupted; finished runs are kept, `dvc repro` goes on from there\n",
    )
    assert 0 < len(list(project.glob(".work/runs/*/*.npz"))) < NUM_SEEDS
    assert not list(project.rglob("*.part"))
    assert not (project / "data" / "leaders").exists()
    begin = time.monotonic()
    while members(process.pid):
        assert time.monotonic() - begin < 30.0, members(process.pid)
        time.sleep(0.1)


def test_ctrl_c_while_a_stage_imports_ends_it_in_one_line(
    start: Callable[..., "subprocess.Popen[str]"],
) -> None:
    process = start("-m", "pipeline.leaders", "four_rooms", "exact")
    libraries = Path(f"/proc/{process.pid}/maps")
    wait_until(lambda: "numpy" in libraries.read_text(encoding="utf-8"), process)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode != 0
    assert text == "interrupted before anything was computed\n"


def test_ctrl_c_lets_what_a_profile_runs_end_in_its_own_way(
    project: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    # DVC has a lock to give back, and its stages lines to say.
    child = (
        "import pathlib, time\n"
        "pathlib.Path('ready').touch()\n"
        "try:\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    time.sleep(2); pathlib.Path('tidied').touch()\n"
    )
    parent = (
        "import subprocess, sys\n"
        "from pipeline.stage import run_stage, wait\n"
        "run_stage(lambda: sys.exit(wait(subprocess.Popen([sys.executable, '-c', sys.argv[1]]))))\n"
    )
    process = start("-c", parent, child)
    wait_until((project / "ready").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, text.count("\n")) == (130, 1)
    assert (project / "tidied").exists()


def test_what_a_profile_runs_passes_its_status_on() -> None:
    assert wait(subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])) == 7


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("leaders", "nosuch", "bc_hg"), "cell.problem = 'nosuch': allowed are ["),
        (
            ("leaders", "discrete_toy_r1", "bchg"),
            "cell.estimator = 'bchg': discrete_toy_r1",
        ),
        (("environments", "nosuch"), "problem = 'nosuch': allowed are ["),
        (("followers", "nosuch"), "problem = 'nosuch': allowed are ["),
        (("gradients", "nosuch"), "problem = 'nosuch': allowed are ["),
    ],
)
def test_a_problem_or_an_estimator_that_does_not_exist_is_named(
    project: Path, command: tuple[str, ...], said: str
) -> None:
    accuracy = project / "data" / "followers" / "discrete_toy_r1" / "accuracy.json"
    accuracy.parent.mkdir(parents=True)
    accuracy.write_text("[]")
    name, *arguments = command
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{name}", *arguments],
        cwd=project, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": f"{ROOT}"},
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_profile_runs_once_at_a_time(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "profiles" / "paper"),
        pytest.raises(ConfigError, match="profile 'paper': another process runs it"),
        alone(tmp_path / "profiles" / "paper"),
    ):
        pass
    with alone(tmp_path / "profiles" / "paper"), alone(tmp_path / "profiles" / "smoke"):
        pass
