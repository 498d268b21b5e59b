"""The tracked tables that the page shows, as far as they are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bilevelrl.evaluation.conditions import read_conditions, reported, with_conditions
from bilevelrl.runs.records import SUMMARY_COLUMNS
from bilevelrl.runs.table_files import read_csv

#: Tables that a page can do without; it then says which is missing.
OPTIONAL = ("against_published", "failed_runs", "followers", "gradients", "model_knowledge")


@dataclass(frozen=True)
class Results:
    """What lies in results/.

    Attributes:
        summary: results/summary.csv with `CONDITION_COLUMNS`, of the J that each problem reports.
        tables: of `OPTIONAL`, those that there are, by name; of such a J, too.
    """

    summary: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]

    @property
    def missing(self) -> list[str]:
        """Files that are not there."""
        return [f"results/{name}.csv" for name in OPTIONAL if name not in self.tables]

    def of_problem(self, name: str, problem: str) -> pd.DataFrame:
        """Rows of a table of one problem; none if the table is missing."""
        if name not in self.tables:
            return pd.DataFrame(columns=["problem"])
        rows = self.tables[name]
        return rows[rows["problem"] == problem]


def read_results(folder: Path, kinds: Mapping[str, str | None]) -> Results:
    """What the page needs of a folder `results`.

    Args:
        folder: which one.
        kinds: of J that every problem reports, None where there is one J.

    Raises:
        CorruptRecord: if summary.csv or conditions.csv is missing, or a table is not readable.
    """
    summary = read_csv(folder / "summary.csv", SUMMARY_COLUMNS)
    conditions = read_conditions(folder / "conditions.csv")
    paths = {name: folder / f"{name}.csv" for name in OPTIONAL}
    tables = {name: read_csv(path) for name, path in paths.items() if path.is_file()}
    for name, table in tables.items():
        if "return" in table:  # empty where there is one J, which reads as missing
            own = table["return"].astype(object)
            tables[name] = reported(table.assign(**{"return": own.fillna("")}), kinds)
    return Results(reported(with_conditions(summary, conditions), kinds), tables)
