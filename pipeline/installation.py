"""Whether what is installed is what the locks say; needs nothing but Python's standard library.

DVC takes the locks for the versions that computed a result. Were others installed, the next
`dvc repro` would hold their results for current.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import NoReturn

#: What every stage that computes depends on; torch stands alone because it comes in two builds.
LOCKS = ("requirements.lock", "requirements-torch.txt")
OLDEST = (3, 11)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)\s*(;)?", re.MULTILINE)


def pins(lock: str) -> "list[tuple[str, str, bool]]":  # an old Python gets as far as a message
    """Name, version and whether a platform may do without it, of every package in a lock."""
    return [(name, pinned, bool(marker)) for name, pinned, marker in _PIN.findall(lock)]


def complaints(root: Path) -> "list[str]":
    """What is not as the locks in `root` say: one text per package, in the locks' order."""
    found = []
    for lock in LOCKS:
        for name, pinned, optional in pins((root / lock).read_text(encoding="utf-8")):
            try:
                installed = version(name)
            except PackageNotFoundError:
                if not optional:
                    found.append(f"{name} {pinned} is not installed")
                continue
            # A build's label (+cpu) says how it was compiled, not which release it is.
            if installed != pinned and installed.partition("+")[0] != pinned:
                found.append(f"{name} is {installed} where {lock} has {pinned}")
    return found


def check_installation(root: Path) -> None:
    """Exit with one line if this Python cannot or must not compute results; say what to run."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        _refuse(f"Python {python} is older than {'.'.join(map(str, OLDEST))}")
    try:
        found = complaints(root)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}")
    if found:
        more = f", and {len(found) - 1} more like it" if len(found) > 1 else ""
        _refuse(f"{found[0]}{more}")


def say_less(
    kind: "type[BaseException]", error: BaseException, traceback: "TracebackType | None"
) -> None:
    """Exceptions while a script still imports; later `pipeline.stage.run_stage` answers."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted before anything was computed", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _refuse(reason: str) -> NoReturn:
    sys.exit(
        f"error: {sys.executable}: {reason}; run `make environment`, then "
        "`source .venv/bin/activate`"
    )
