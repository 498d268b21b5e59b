"""Digests of the code of a run."""

from bilevelrl.core.provenance import (
    code_digest,
)
from bilevelrl.runs import chunks


def cell(kind: str) -> str:
    return f"problems.{kind}.cell"


def digest(kind: str = "four_rooms", values: tuple[str, ...] | None = None, *makers: str) -> str:
    """Of a kind's runs, whose estimators modules besides its cell make; past the cache."""
    if values is None:
        values = (*chunks.VALUES, f"problems.{kind}.settings")
    return code_digest.__wrapped__("runs.chunks", cell(kind), *makers, values=values)
