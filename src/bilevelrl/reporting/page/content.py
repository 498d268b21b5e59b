"""What the page is made of: sections of texts, tables and pictures."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

#: Where a cell has nothing to say, as in the tables of results/tables.
EMPTY = "–"
_NUMERIC = re.compile(r"[−+]?\d")


@dataclass(frozen=True)
class Table:
    """Texts in rows.

    Attributes:
        caption: what it shows; every number of it is explained here or in "How to read".
        head: one per column.
        rows: of as many cells as `head`; the first names the row.
        folded: whether the reader has to open it.
        name: of its LaTeX file, without suffix; empty if it has none.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    name: str = ""

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Of every column, whether each of its cells begins with a number or is empty."""
        columns = zip(*self.rows, strict=True)
        return tuple(
            all(cell == EMPTY or _NUMERIC.match(cell) for cell in column) for column in columns
        )

    @property
    def frame(self) -> pd.DataFrame:
        """The same as a data frame of texts, as `figures.tables` takes it."""
        return pd.DataFrame(list(self.rows), columns=list(self.head))


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Attributes:
        title: its heading.
        caption: what it shows, empty if nobody says.
        source: data URI.
        width, height: in pixels of the PNG file.
    """

    title: str
    caption: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; `anchor` is its place in links."""

    anchor: str
    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    sections: tuple["Section", ...] = ()

    def all_tables(self) -> Iterable[Table]:
        """Those of it and of the sections in it, in their order."""
        yield from self.tables
        for section in self.sections:
            yield from section.all_tables()


def table(
    caption: str, rows: Iterable[dict[str, str]], *, folded: bool = False, name: str = ""
) -> Table:
    """A table of rows whose cells are known by their headings; what a row lacks is empty.

    A heading stands where the first row that has it has it.
    """
    rows = list(rows)
    head = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    cells = tuple(tuple(row.get(key, EMPTY) or EMPTY for key in head) for row in rows)
    return Table(caption, tuple(head), cells, folded, name)
