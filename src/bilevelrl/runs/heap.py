"""What a process does with memory that arrays leave."""

import ctypes
import platform

#: Of glibc's <malloc.h>, with what is asked of them.
_OPTIONS = {
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD: no array up to 32 MiB, the most it takes, has its own pages
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: keep what was freed
    -2: 64 * 2**20,  # M_TOP_PAD: ask for this much at once
}


def keep_freed_memory() -> None:
    """Reuse it instead of giving it back to the system, which hands out pages one by one.

    Batches of 10,000 transitions are arrays of megabytes, made anew in every update: a quarter of
    an update's time is page faults (docs/speed.md). Without glibc nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        option = ctypes.CDLL(None).mallopt
        for name, value in _OPTIONS.items():
            option(name, value)
