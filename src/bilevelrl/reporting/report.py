"""What a registered name says of the results: a text, a table, or whether a claim holds."""

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from bilevelrl.reporting.formats import NOTHING, evaluate, fields, fill, number, value
from bilevelrl.reporting.registry import Claim, Column, Registry, Row, Table
from bilevelrl.reporting.sources import ReportError, Sources

#: In an inline marker, what comes from params.yaml and needs no registration.
PARAMETER = "params:"
Entry = TypeVar("Entry")
_REFERENCE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Report:
    """Registered names, and the results that they speak of."""

    registry: Registry
    sources: Sources

    def number(self, name: str) -> str:
        """The text of an inline marker.

        Raises:
            ReportError: if nothing has this name, or the results do not hold it.
        """
        if name.startswith(PARAMETER):
            return _parameter_text(name, self.sources.parameter(name.removeprefix(PARAMETER)))
        entry = _named(self.registry.numbers, name, "number")
        try:
            if entry.compute is not None:
                frame = pd.DataFrame({"value": [self._computed(entry.compute)]})
                return fill(entry.show, frame)
            return fill(entry.show, self._rows(entry.table, entry.where), entry.of)
        except ReportError as error:
            raise ReportError(f"{name}: {error}") from error

    def table(self, name: str) -> str:
        """The lines of a table as Markdown.

        Raises:
            ReportError: if nothing has this name, or a row or a column is empty.
        """
        entry = _named(self.registry.tables, name, "table")
        try:
            return _markdown(*self._cells(entry))
        except ReportError as error:
            raise ReportError(f"{name}: {error}") from error

    def contradicted(self, name: str) -> str | None:
        """What is wrong with a claim, None if it holds.

        Raises:
            ReportError: if nothing has this name, or there is nothing to check it on.
        """
        entry = _named(self.registry.claims, name, "claim")
        try:
            holds, seen = self._holds(entry)
        except ReportError as error:
            raise ReportError(f"{name}: {error}") from error
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
        found = value(fields(entry.show)[0], self._rows(entry.table, entry.where), entry.of)
        return float(found)

    def _with_values(self, expression: str) -> str:
        return _REFERENCE.sub(lambda match: repr(self._value(match[1])), expression)

    def _computed(self, expression: str) -> Any:
        return evaluate(self._with_values(expression), pd.DataFrame(index=[0])).iloc[0]

    def _cells(self, entry: Table) -> tuple[list[str], list[list[str]]]:
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
        return [*heads, *columns], lines


def _groups(entry: Table, rows: pd.DataFrame) -> list[tuple[list[str], pd.DataFrame]]:
    if entry.by is None:
        return [([row.label], _row(rows, row)) for row in entry.rows]
    templates = list(entry.by.values())
    labels = [tuple(fill(t, rows.iloc[[row]]) for t in templates) for row in range(len(rows))]
    return [
        (list(label), rows[[own == label for own in labels]]) for label in dict.fromkeys(labels)
    ]


def _row(rows: pd.DataFrame, row: Row) -> pd.DataFrame:
    own = _chosen(rows, row.where)
    if own.empty:
        raise ReportError(f"no row where {row.where}")
    return own


def _cell(rows: pd.DataFrame, column: Column) -> str:
    own = _chosen(rows, column.where)
    return NOTHING if own.empty else fill(column.show, own, column.of)


def _chosen(rows: pd.DataFrame, where: str | None) -> pd.DataFrame:
    return rows if where is None else rows[evaluate(where, rows).astype(bool)]


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    every = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)


def _parameter_text(name: str, found: Any) -> str:
    if isinstance(found, list):
        return ", ".join(number(one) for one in found)
    if isinstance(found, dict) or found is None:
        raise ReportError(f"{name} is no number")
    return number(found)


def _named(entries: dict[str, Entry], name: str, kind: str) -> Entry:
    if name not in entries:
        raise ReportError(f"no {kind} is called {name!r}")
    return entries[name]
