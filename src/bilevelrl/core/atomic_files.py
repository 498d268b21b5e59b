"""Files that are replaced in one step: what fails or is killed leaves the old one."""

import glob
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bilevelrl.core.arrays import AnyArray


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` in one step; a failure leaves nothing else, a kill until the next writing.

    Raises:
        OSError: if it cannot be written; names a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # of writing
            error.filename = str(path)
        raise


def _remove_abandoned(path: Path) -> None:
    # Of this file only: a folder of the cache may hold thousands.
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        pid = part.name.removeprefix(f"{path.name}.").removesuffix(".part")
        if pid.isdecimal() and int(pid) != os.getpid() and not _is_running(int(pid)):
            part.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_array(path: Path, array: AnyArray) -> None:
    """Write one array as an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_atomically(path, buffer.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name as a compressed npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())
