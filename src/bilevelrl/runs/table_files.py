"""Reading and writing what stages exchange: JSON, arrays and tables, byte-stable."""

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.atomic_files import write_atomically


class CorruptRecord(RuntimeError):
    """A file between two stages is missing, unreadable, or not what its writer promised."""


def write_json(path: Path, content: object) -> None:
    """Write indented, key-sorted JSON."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        CorruptRecord: if the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptRecord(f"{path}: {error}") from error


def read_array(path: Path, name: str) -> Floats:
    """One array of an npz file.

    Raises:
        CorruptRecord: if the file is missing or unreadable, or has no such array.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            return np.asarray(file[name], dtype=np.float64)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise CorruptRecord(f"{path}: {name}: {error}") from error


def write_parquet(path: Path, table: pd.DataFrame, columns: dict[str, str]) -> None:
    """Write exactly `columns`, in this order and with these types."""
    buffer = io.BytesIO()
    table[list(columns)].astype(columns).to_parquet(buffer, index=False)
    write_atomically(path, buffer.getvalue())


def read_parquet(path: Path, columns: dict[str, str] | None = None) -> pd.DataFrame:
    """Read a table and check its columns, if they are known.

    Raises:
        CorruptRecord: if the file is missing, unreadable, or has other columns.
    """
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds, none with a common base but this
        raise CorruptRecord(f"{path}: {error}") from error
    return table if columns is None else _checked(table, path, columns)


def _checked(table: pd.DataFrame, path: Path, columns: Iterable[str]) -> pd.DataFrame:
    if list(table.columns) != list(columns):
        raise CorruptRecord(f"{path}: expected columns {list(columns)}, got {list(table.columns)}")
    return table


def read_csv(path: Path, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Read a table that `write_csv` wrote and check its columns, if they are known.

    Raises:
        CorruptRecord: if the file is missing, unreadable, or has other columns.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise CorruptRecord(f"{path}: {error}") from error
    return table if columns is None else _checked(table, path, columns)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a small, git-tracked table: Unix line ends, 10 digits, empty for missing."""
    content = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    write_atomically(path, content.encode())


def concatenate(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables with equal columns."""
    return pd.concat(list(tables), ignore_index=True)
