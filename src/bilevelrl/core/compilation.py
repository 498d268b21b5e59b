"""One way to compile a Numba kernel, with a disk cache that never serves stale code.

Numba keys its cache on the file of the kernel alone, so an edit to a function that the kernel calls
in *another* file would go unnoticed. A kernel's cache therefore lies in a folder named after the
digest of all that the kernel's file imports, directly or not: any edit there starts a fresh one,
and clones with equal sources share one. Where that folder cannot be written, nothing is cached;
left alone, Numba would fall back to `__pycache__`, and then run old kernels.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
from numba.core.caching import _CacheLocator

from bilevelrl.core.provenance import digest_of, source_closure

Function = Callable[..., Any]


def kernel(function: Function) -> Function:
    """Compile a scalar kernel that works on one run."""
    return _compiled(function, parallel=False)


def summing_kernel(function: Function) -> Function:
    """Compile a scalar kernel that may add the terms of a sum in any order, with fused products.

    Only then can a sum use the processor's vectors. The order depends on the number of terms and on
    the processor, as that of matrix products does, but on no other run and no number of threads.
    """
    return _compiled(function, parallel=False, fastmath={"reassoc", "contract", "nsz"})


def parallel_kernel(function: Function) -> Function:
    """Compile a kernel whose outer `numba.prange` loop goes over independent runs.

    No fast-math: a run must give the same bits alone, in a batch, and on any number of threads. A
    sum that may be added in another order is a `summing_kernel`.
    """
    return _compiled(function, parallel=True)


def cache_root() -> Path | None:
    """Where all kernels' caches lie, or None if there is no such place.

    It is NUMBA_CACHE_DIR, else bilevelrl in XDG_CACHE_HOME, else in ~/.cache.
    """
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "bilevelrl"
    try:
        return Path.home() / ".cache" / "bilevelrl"
    except RuntimeError:  # nobody knows where home is
        return None


class DigestLocator(_CacheLocator):
    """Tells Numba where the compiled kernels of a source file lie, see `kernel_cache`."""

    def __init__(self, function: Function, source: str) -> None:
        folder = kernel_cache(Path(source))
        assert folder is not None  # else nobody asks Numba to cache
        self._folder, self._line = folder, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Function, source: str) -> "DigestLocator":
        """As Numba creates it."""
        return cls(function, source)

    def get_cache_path(self) -> str:
        """A folder that no other state of the source shares."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """The folder's name has it all."""
        return self._folder.name

    def get_disambiguator(self) -> str:
        """Tells functions of one name in one file apart."""
        return str(self._line)


@cache
def kernel_cache(source: Path) -> Path | None:
    """A writable folder for the kernels of a file as it is, with all that it calls; or None."""
    root = cache_root()
    if root is None:
        return None
    folder = (
        root / f"{digest_of(source_closure(source))[:32]}{'' if _threaded() else '-one-thread'}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        _warn_once(f"{root}: {error.strerror}")
        return None


def _compiled(function: Function, *, parallel: bool, fastmath: set[str] | bool = False) -> Function:
    cached = kernel_cache(Path(function.__code__.co_filename)) is not None
    config: Any = numba.config
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = f"{DigestLocator.__module__}.{DigestLocator.__qualname__}"
    try:
        compiled = numba.njit(
            cache=cached,
            error_model="numpy",
            parallel=parallel and _threaded(),
            fastmath=fastmath,
        )(function)
        return cast(Function, compiled)
    finally:
        config.CACHE_LOCATOR_CLASSES = before


def _threaded() -> bool:
    # A worker that may use one thread compiles plain loops, in half of the time.
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return most > 1


@cache
def _warn_once(reason: str) -> None:
    message = f"kernels are compiled anew in every process, their cache cannot be written: {reason}"
    warnings.warn(message, RuntimeWarning, stacklevel=5)
