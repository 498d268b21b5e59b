"""One way to compile a Numba kernel, with a disk cache that never serves stale code.

Numba keys its cache on the file of the kernel alone, so an edit to a function that the kernel calls
in *another* file would go unnoticed. The cache therefore lives in a folder named after the digest
of every file that may hold a kernel: any edit there starts a fresh cache.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numba

Function = Callable[..., Any]


#: Where kernels live; a kernel may call kernels of these folders only.
KERNEL_FOLDERS = ("networks", "problems", "followers", "critics", "estimators")


def kernels_digest(package: Path) -> str:
    """SHA-256 over names and contents of this file and of all Python files in `KERNEL_FOLDERS`."""
    digest = hashlib.sha256()
    files = [package / "compilation.py"]
    files += [path for folder in KERNEL_FOLDERS for path in (package / folder).rglob("*.py")]
    for path in sorted(files):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if "NUMBA_CACHE_DIR" not in os.environ:
    _root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    _digest = kernels_digest(Path(__file__).parent)
    numba.config.CACHE_DIR = str(_root / "bilevelrl" / _digest[:16])  # type: ignore[attr-defined]


def kernel(function: Function) -> Function:
    """Compile a scalar kernel that works on one run."""
    return cast(Function, numba.njit(cache=True, error_model="numpy")(function))


def parallel_kernel(function: Function) -> Function:
    """Compile a kernel whose outer `numba.prange` loop goes over independent runs.

    No fast-math: a run must give the same bits alone, in a batch, and on any number of threads.
    """
    return cast(Function, numba.njit(cache=True, parallel=True, error_model="numpy")(function))
