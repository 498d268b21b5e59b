"""Workers keep the memory that arrays leave."""

import ctypes
import platform
import subprocess
import sys

import pytest

from bilevelrl.runs.heap import keep_freed_memory

#: Prints how many pages the system handed out for a hundred times eight arrays of 4 MiB.
FAULTS = """
import resource
import numpy as np
from bilevelrl.runs.heap import keep_freed_memory
{}
for _ in range(10):
    arrays = [np.ones(1 << 19) for _ in range(8)]
    del arrays
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    arrays = [np.ones(1 << 19) for _ in range(8)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_large_arrays_take_the_pages_that_others_left() -> None:
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(call)]))
        for call in ("keep_freed_memory()", "")
    )
    assert kept < 100 < given_back


def test_other_systems_have_nothing_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", None)  # on Windows it takes no name None
    keep_freed_memory()
