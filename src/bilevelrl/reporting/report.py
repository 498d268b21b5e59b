"""What a registered name says of the results: a text, a table, or whether a claim holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from bilevelrl.figures.tables import to_markdown
from bilevelrl.reporting.formats import NOTHING, evaluate, fields, fill, number, value
from bilevelrl.reporting.registry import Claim, Column, Registry, Table
from bilevelrl.reporting.sources import ReportError, Sources, about

#: In an inline marker, what comes from params.yaml and needs no registration.
PARAMETER = "params:"
Entry = TypeVar("Entry")
_REFERENCE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Report:
    """Registered names, and the results that they speak of.

    A `ReportError` is raised of a name that nothing has, or of which the results hold nothing.
    """

    registry: Registry
    sources: Sources

    def number(self, name: str) -> str:
        """The text of an inline marker."""
        if name.startswith(PARAMETER):
            found = self.sources.parameter(name.removeprefix(PARAMETER))
            if isinstance(found, dict) or found is None:
                raise ReportError(f"{name} is no number")
            return ", ".join(map(number, found if isinstance(found, list) else [found]))
        entry = _named(self.registry.numbers, name, "number")
        with about(name):
            if entry.compute is not None:
                return fill(entry.show, pd.DataFrame({"value": [self._computed(entry.compute)]}))
            return fill(entry.show, self._rows(entry.table, entry.where), entry.of)

    def table(self, name: str) -> str:
        """The lines of a table, of which no row or column may be empty, as Markdown."""
        entry = _named(self.registry.tables, name, "table")
        with about(name):
            return to_markdown(self._cells(entry))

    def contradicted(self, name: str) -> str | None:
        """What is wrong with a claim, None if it holds."""
        entry = _named(self.registry.claims, name, "claim")
        with about(name):
            holds, seen = self._holds(entry)
        return None if holds else f"the results contradict {name} ({entry.says}): {seen}"

    def _holds(self, entry: Claim) -> tuple[bool, str]:
        if entry.compare is not None:
            return bool(self._computed(entry.compare)), self._with_values(entry.compare)
        rows = self._rows(entry.table, entry.where)
        assert entry.holds is not None  # the registry saw to it
        holds = evaluate(entry.holds, rows).astype(bool)
        return bool(holds.all()), f"{entry.holds} is false in {int((~holds).sum())} of {len(rows)}"

    def _rows(self, table: str | None, where: str | None) -> pd.DataFrame:
        assert table is not None  # the registry saw to it
        rows = _chosen(self.sources.view(table), where)
        if rows.empty:
            raise ReportError(f"{table} has no row where {where}")
        return rows

    def _value(self, name: str) -> float:
        if name.startswith(PARAMETER):
            return float(self.sources.parameter(name.removeprefix(PARAMETER)))
        entry = _named(self.registry.numbers, name, "number")
        if entry.compute is not None:
            return float(self._computed(entry.compute))
        return float(value(fields(entry.show)[0], self._rows(entry.table, entry.where), entry.of))

    def _with_values(self, expression: str) -> str:
        return _REFERENCE.sub(lambda match: repr(self._value(match[1])), expression)

    def _computed(self, expression: str) -> Any:
        return evaluate(self._with_values(expression), pd.DataFrame(index=[0])).iloc[0]

    def _cells(self, entry: Table) -> pd.DataFrame:
        rows = self._rows(entry.table, entry.where)
        if entry.sort:
            rows = rows.sort_values(entry.sort, kind="stable")
        columns = {
            header: Column(show=column) if isinstance(column, str) else column
            for header, column in entry.columns.items()
        }
        heads = [entry.head] if entry.by is None else list(entry.by)
        lines = []
        for labels, own in _groups(entry, rows):
            line = [_cell(own, column) for column in columns.values()]
            if set(line) <= {NOTHING}:
                raise ReportError(f"nothing in the row of {labels}")
            lines.append([*labels, *line])
        for header, column in columns.items():
            if _chosen(rows, column.where).empty:
                raise ReportError(f"no row in the column {header!r}")
        return pd.DataFrame(lines, columns=[*heads, *columns])


def _groups(entry: Table, rows: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Labels and rows of every row of a table."""
    for row in entry.rows:
        own = _chosen(rows, row.where)
        if own.empty:
            raise ReportError(f"no row where {row.where}")
        yield (row.label,), own
    if entry.by is not None:
        ones = (rows.iloc[[place]] for place in range(len(rows)))
        labels = [tuple(fill(template, one) for template in entry.by.values()) for one in ones]
        for label in dict.fromkeys(labels):
            yield label, rows[[own == label for own in labels]]


def _cell(rows: pd.DataFrame, column: Column) -> str:
    own = _chosen(rows, column.where)
    return NOTHING if own.empty else fill(column.show, own, column.of)


def _chosen(rows: pd.DataFrame, where: str | None) -> pd.DataFrame:
    return rows if where is None else rows[evaluate(where, rows).astype(bool)]


def _named(entries: dict[str, Entry], name: str, kind: str) -> Entry:
    if name not in entries:
        raise ReportError(f"no {kind} is called {name!r}")
    return entries[name]
