"""An object in a file, with everything that hangs on it."""

import io
import pickle
import sys
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle

from bilevelrl.core.atomic_files import write_atomically

Kept = TypeVar("Kept")
_STREAMS = ("stdout", "stderr")


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Leaves the process's own streams out, which loggers hold."""

    def persistent_id(self, part: Any) -> str | None:
        for name in _STREAMS:
            if part is getattr(sys, name) or part is getattr(sys, f"__{name}__"):
                return name
        return None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: Any) -> Any:
        if name not in _STREAMS:
            raise pickle.UnpicklingError(f"unknown part {name!r}")
        return getattr(sys, name)


def save(kept: object, path: Path) -> None:
    """Write a pickle, whole or not at all.

    Raises:
        TypeError: a part cannot be pickled.
        OSError: the file cannot be written.
    """
    content = io.BytesIO()
    try:
        _Pickler(content).dump(kept)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise TypeError(f"{path} was not written: a part cannot be pickled: {error}") from error
    write_atomically(path, content.getvalue())


def load(kind: type[Kept], path: Path) -> Kept:
    """What `save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no object of this kind.
    """
    with path.open("rb") as file:
        try:
            kept = _Unpickler(file).load()
        except Exception as error:  # a file of something else can raise anything
            raise ValueError(f"{path} holds no {kind.__name__}: {error}") from error
    if not isinstance(kept, kind):
        raise ValueError(f"{path} holds a {type(kept).__name__}; expected a {kind.__name__}")
    return kept
