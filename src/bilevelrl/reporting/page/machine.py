"""The machine and the packages that render the page; tracked tables know neither."""

import os
import platform
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bilevelrl.core.provenance import normalised
from bilevelrl.reporting.page.content import EMPTY, Table, table

_GIB = 2**30
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def machine() -> Table:
    """Processor, cores, memory, operating system and Python."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "processor": processor(),
        "cores": f"{os.cpu_count() or EMPTY}, of which this process may use {allowed or EMPTY}",
        "memory": _memory(),
        "operating system": _system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    caption = "Rendered on this machine; it need not be the one that computed the results."
    return table(caption, ({"": name, "rendered on": text} for name, text in facts.items()))


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Model and architecture, as far as the system tells."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, model = line.partition(":")
        if name.strip() == "model name" and model.strip():
            return f"{model.strip()} ({platform.machine()})"
    return platform.processor() or platform.machine() or EMPTY


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no such name on this system
        return EMPTY
    return f"{size / _GIB:.1f} GiB"


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else kernel


def packages(project: Path, pinned: Mapping[str, str]) -> Table:
    """The packages that pyproject.toml asks for on behalf of the pipeline.

    Args:
        project: pyproject.toml.
        pinned: versions by name, from the locks that stages depend on.
    """
    locked = {normalised(name): release for name, release in pinned.items()}
    rows = []
    for name in sorted(_asked_for(project), key=str.lower):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not installed"
        rows.append(
            {
                "package": name,
                "locked": locked.get(normalised(name), EMPTY),
                "rendered with": installed,
            }
        )
    caption = (
        "“Locked” are the versions in the lock files that every stage depends on: results that are "
        "current, as said at the top, were computed with these. “Rendered with” are those of this "
        "page."
    )
    return table(caption, rows)


def _asked_for(project: Path) -> set[str]:
    content = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = content["optional-dependencies"]
    texts: Iterable[str] = (*content["dependencies"], *extras["torch"], *extras["pipeline"])
    return {_NAME.match(text)[0] for text in texts} - {content["name"]}  # type: ignore[index]
