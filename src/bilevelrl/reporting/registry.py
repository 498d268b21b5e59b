"""The registries beside the documents: what every marker stands for.

A registry is a YAML file in docs/ with any of these keys:

    numbers: name -> where the value of an inline marker comes from
    tables: name -> rows and columns of a table
    claims: name -> a relation that a sentence asserts of the results
    constants: a number outside markers -> where it stands, or why it is none of the results

Names are shared by all documents. Constants are those of the document of the same name: page.yaml
is for page.md, docs/readme.yaml for README.md.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from bilevelrl.core.validation import Block, validate
from bilevelrl.reporting.sources import ReportError
from bilevelrl.runs.yaml_files import read_mapping

#: Folders below docs/ whose YAML files are for users: parts of problems, settings of clusters.
NO_REGISTRIES = ("templates", "cluster")
Reduction = Literal["min", "max", "mean", "median", "sum", "count", "all", "nunique"]


class Number(Block):
    """One value in a sentence, from the row of a table that `where` chooses."""

    table: str | None = None
    where: str | None = None
    show: str  # template with {expression:format} fields
    of: Reduction | None = None  # how several rows become one
    compute: str | None = None  # instead of a table, an expression with {name} for other numbers

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.table is None) == (self.compute is None):
            raise ValueError("either `table` or `compute` says where it comes from")
        return self


class Row(Block):
    """A row of a table, chosen by hand."""

    label: str
    where: str


class Column(Block):
    """A column of a table: which of the row's rows it shows, and how."""

    show: str
    where: str | None = None
    of: Reduction | None = None


class Table(Block):
    """A table of a document, made from the rows of another that `where` chooses."""

    table: str
    where: str | None = None
    sort: list[str] = Field(default_factory=list)  # columns that order them, if not the file
    by: dict[str, str] | None = None  # header -> template; rows with equal texts are one
    head: str = ""  # over the labels of `rows`
    rows: list[Row] = Field(default_factory=list)  # instead of `by`, chosen one by one
    columns: dict[str, str | Column]  # header -> template, or which of a row's rows and template

    @model_validator(mode="after")
    def _rows_said_once(self) -> Self:
        if (self.by is None) == (not self.rows):
            raise ValueError("either `by` or `rows` says what a row is")
        return self


class Claim(Block):
    """A relation that must hold while a sentence asserts it."""

    says: str  # the relation in words, for whoever meets the failure
    table: str | None = None
    where: str | None = None
    holds: str | None = None  # an expression that is true in every such row, at least one
    compare: str | None = None  # instead, an expression with {name} for numbers

    @model_validator(mode="after")
    def _one_relation(self) -> Self:
        if (self.compare is None) == (self.table is None or self.holds is None):
            raise ValueError("either `table` and `holds`, or `compare`, says what must hold")
        return self


class Constant(Block):
    """Why a number may stand outside markers: params.yaml holds it, or a reason."""

    params: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.params is None) == (self.reason is None):
            raise ValueError("either `params` or `reason` says where it comes from")
        return self


class Registry(Block):
    """Everything that the markers of all documents may name; constants then by "page/number"."""

    numbers: dict[str, Number] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)
    claims: dict[str, Claim] = Field(default_factory=dict)
    constants: dict[str, Constant] = Field(default_factory=dict)


def read_registries(folder: Path) -> Registry:
    """All registries below a folder as one.

    Raises:
        ConfigError: if one cannot be read.
        ReportError: if two give the same name a meaning.
    """
    merged = Registry().model_dump()
    for path in sorted(folder.rglob("*.yaml")):
        if any(path.is_relative_to(folder / name) for name in NO_REGISTRIES):
            continue
        own = validate(Registry, read_mapping(path), str(path)).model_dump()
        own["constants"] = {f"{path.stem}/{text}": one for text, one in own["constants"].items()}
        for kind, entries in own.items():
            for name in entries.keys() & merged[kind].keys():
                raise ReportError(f"{path}: {name} has a meaning already")
            merged[kind] |= entries
    return Registry.model_validate(merged)
