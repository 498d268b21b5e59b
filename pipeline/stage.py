"""What every script does around its work: one clear line for what a user can mend, no traceback."""

import argparse
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pipeline
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.forecast import in_words
from bilevelrl.runs.heap import keep_freed_memory
from bilevelrl.runs.table_files import CorruptRecord

#: Of files that cannot be written, and what to do about it.
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "use a folder that can be written to",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "allow writing there"),
}
_KEPT = "finished runs are kept, `dvc repro` goes on from there"
#: Environment variable of `pipeline.repro`: JSON, all stages in order and the seconds of each.
FORECAST = "BILEVELRL_FORECAST"
#: Environment variable of `pipeline.repro`, set while a process beside the stages feeds MLflow.
SHOWN_LATER = "BILEVELRL_SHOWN_LATER"
#: What a shell reports of a command that Ctrl-C ended.
INTERRUPTED = 130


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; exit with one line if a user can mend what ended it, as `_ending` knows.

    So does an edit of what the stage depends on while it ran.
    """
    keep_freed_memory()
    try:
        _say_what_is_left()
        stage()
        _refuse_edits()
    except SystemExit:
        raise
    except BaseException as error:
        if (status := _ending(error)) is None:
            raise
        sys.exit(status)


def run_problem_stage(stage: Callable[[str], None], description: str | None) -> None:
    """Run a stage of one problem, which its only argument names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("problem_name", help="a block of `problems` in params.yaml")
    arguments = parser.parse_args()
    run_stage(lambda: stage(arguments.problem_name))


def shown_later() -> bool:
    """Whether what a stage writes is shown in MLflow by a process beside it."""
    return SHOWN_LATER in os.environ


def wait(process: "subprocess.Popen[bytes]") -> int:
    """The exit status of a process, which ends in its own way where Ctrl-C reaches it too.

    Raises:
        KeyboardInterrupt: if it came meanwhile, afterwards.
    """
    interrupted = False
    while process.poll() is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode


def _say_what_is_left() -> None:
    plan = json.loads(os.environ.get(FORECAST, "{}"))
    name = os.environ.get("DVC_STAGE")
    if name in plan:
        place = list(plan).index(name)
        left = in_words(sum(list(plan.values())[place:]))
        print(f"stage {place + 1} of {len(plan)}, about {left} left", flush=True)


def _refuse_edits() -> None:
    name, before = os.environ.get("DVC_STAGE"), pipeline.snapshot
    if name is None or before is None:
        return
    if edited := before.edited(name):
        sys.exit(
            f"error: {', '.join(edited)} changed while this stage ran; what it wrote is of before: "
            f"run `dvc repro` again, finished runs are kept"
        )


def _ending(error: BaseException) -> int | str | None:
    """The exit status or last line for what a user can mend; None for a bug."""
    if _is_interrupted(error):
        print(f"interrupted; {_KEPT}", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, ConfigError | CorruptRecord):
        return f"error: {error}"
    if isinstance(error, NotConverged):
        return f"error: {error}; raise followers.max_iterations or followers.tolerance; {_KEPT}"
    if isinstance(error, MemoryError):
        reason = str(error) or "no reason given"
        return f"error: out of memory ({reason}): lower runtime.jobs in params.yaml; {_KEPT}"
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        remedy = _REMEDIES.get(error.errno, "mend this path")
        return f"error: {error.filename}: {error.strerror}: {remedy}; {_KEPT}"
    return None


def _is_interrupted(error: BaseException | None) -> bool:
    # Also where tidying up failed for it, as a zip file does that is closed half written.
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
