"""The tables of Sioux Falls out of an archive as AequilibraE has it, made up from the tables."""

import csv
import hashlib
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bilevelrl.models.network_flow.extract_sioux_falls import DATA, extracted
from bilevelrl.models.network_flow.sioux_falls import _DIGESTS

ARCHIVE = "aequilibrae/reference_files/sioux_falls.zip"


def rows_of(name: str) -> list[list[str]]:
    return [*csv.reader((DATA / name).read_text(encoding="utf-8").splitlines())][1:]


def links() -> bytes:
    """The database, its rows out of order and with columns that nobody asks for."""
    numbered = [(place, *row, "x") for place, row in enumerate(rows_of("sioux_falls_links.csv"), 1)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE TABLE links (link_id INTEGER, a_node INTEGER, b_node INTEGER, capacity_ab REAL,"
            " free_flow_time REAL, b REAL, power REAL, name TEXT)"
        )
        connection.executemany("INSERT INTO links VALUES (?,?,?,?,?,?,?,?)", numbered[::-1])
        connection.commit()
        return connection.serialize()


def demand(version: int = 1, size: int = 8) -> bytes:
    """The matrix in AequilibraE's format: a header, names, and the numbers at the end."""
    table = np.zeros((24, 24))
    for origin, destination, trips in rows_of("sioux_falls_demand.csv"):
        table[int(origin) - 1, int(destination) - 1] = float(trips)
    header = bytes([version, 0]) + np.array([576], "<u8").tobytes()
    header += np.array([24], "<u4").tobytes() + bytes([1, 1, 0, size])
    return header + bytes(123) + table.astype("<f8").tobytes()


def archive(folder: Path, matrix: bytes) -> Path:
    path = folder / "sioux_falls.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("project_database.sqlite", links())
        packed.writestr("matrices/demand.aem", matrix)
    return path


def wheel(folder: Path) -> Path:
    path = folder / "aequilibrae-1.7.2-cp311-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(archive(folder, demand()), ARCHIVE)
    return path


@pytest.mark.parametrize("packed", ["archive", "wheel"])
def test_the_tables_come_out_of_an_archive_to_the_byte(tmp_path: Path, packed: str) -> None:
    source = wheel(tmp_path) if packed == "wheel" else archive(tmp_path, demand())
    found = extracted(source)
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()} == (
        _DIGESTS
    )


def test_a_matrix_of_another_format_is_refused(tmp_path: Path) -> None:
    for other in (demand(version=2), demand(size=4)):
        with pytest.raises(ValueError, match="version 1 with 1 matrix of 8 bytes is needed"):
            extracted(archive(tmp_path, other))
