"""How numbers look in a document; the only place that turns a value into text."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.reporting.sources import ReportError

NOTHING = "—"
#: {expression} or {expression:format}, the expression in terms of a table's columns.
_FIELD = re.compile(r"\{([^{}]+?)(?::([^{}:]*))?\}")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | str | bool, spec: str = "") -> str:
    """A value as text.

    Args:
        value: a number, a text or a truth value; NaN becomes an em dash.
        spec: a format specification of Python; `.<digits>e` is written as a power of ten, and
            `<digits>s` keeps that many significant digits without one. Without a specification,
            integers get thousands separators and other numbers their shortest form.

    Raises:
        ReportError: if the specification does not fit the value.
    """
    if isinstance(value, str):
        return value or NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    value = float(value)
    if math.isnan(value):
        return NOTHING
    if not spec:
        spec = ",.0f" if value.is_integer() else ".12g"
    if spec.endswith("s") and spec[:-1].isdigit():
        value, spec = _significant(value, int(spec[:-1]))
    try:
        text = f"{value:{spec}}"
    except ValueError as error:
        raise ReportError(f"format {spec!r}: {error}") from error
    if spec.endswith("e"):
        digits, _, exponent = text.partition("e")
        text = f"{digits}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    elif not any(digit in text for digit in "123456789"):
        text = text.replace("-", "")  # -0.0004 must not print as "−0.000"
    return text.replace("-", "−")


def _significant(value: float, digits: int) -> tuple[float, str]:
    """A value rounded to significant digits, and the format that shows them."""
    rounded = float(f"{value:.{digits - 1}e}")
    places = digits - 1 - (math.floor(math.log10(abs(rounded))) if rounded else 0)
    return rounded, f",.{max(places, 0)}f"


def fields(template: str) -> list[str]:
    """The expressions of a template."""
    return [match[1] for match in _FIELD.finditer(template)]


def fill(template: str, rows: pd.DataFrame, of: str | None = None) -> str:
    """A template with the values of one row, or of several reduced to one.

    Where the first value is missing, an em dash stands for all of it; an error that is missing is
    left out.

    Args:
        template: text with {expression:format} fields.
        rows: table, at least one row.
        of: name of a pandas reduction, such as "max"; without it there must be one row.

    Raises:
        ReportError: if there are several rows and no reduction, or an expression is no such.
    """
    found = [(value(field[1], rows, of), field[2] or "") for field in _FIELD.finditer(template)]
    texts = [number(*one) for one in found]
    if texts and texts[0] == NOTHING:
        return NOTHING
    shown = iter(texts)
    return _FIELD.sub(lambda _: next(shown), template).replace(f" ± {NOTHING}", "")


def value(expression: str, rows: pd.DataFrame, of: str | None = None) -> Any:
    """The value of an expression on one row, or on several reduced to one; see `fill`."""
    column = evaluate(expression, rows)
    if of is not None:  # a sum of nothing known is unknown, not 0
        return getattr(column, of)() if column.notna().any() else float("nan")
    if len(column) != 1:
        raise ReportError(f"{len(column)} rows where one is meant, and no `of` to reduce them")
    return column.iloc[0]


def evaluate(expression: str, rows: pd.DataFrame) -> pd.Series:
    """A column, or what pandas makes of an expression in columns; a ReportError if it refuses."""
    if expression in rows:
        return rows[expression]
    # pandas cleans the name of every column at every evaluation: leave it those that may be meant.
    named = rows[[column for column in rows if str(column) in expression]]
    try:
        result = named.eval(expression, engine="python")
    except Exception as error:  # pandas raises whatever its parser meets
        raise ReportError(f"{expression!r}: {' '.join(str(error).split())}") from error
    return result if isinstance(result, pd.Series) else pd.Series(result, index=rows.index)
