"""What galleries share: the tables of one problem, rows of a study, and names of figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bilevelrl.core.problem import ProblemBlock
from bilevelrl.runs.table_files import read_csv


@dataclass(frozen=True, eq=False)
class Results:
    """The tables of one problem that its figures are drawn from."""

    problem: str
    summary: pd.DataFrame  # results/summary.csv with condition columns
    curves: pd.DataFrame  # data/evaluate/learning_curves.parquet
    gradients: pd.DataFrame  # results/gradients.csv
    published: pd.DataFrame  # published curves
    masked: pd.DataFrame  # as_published.parquet where the published curves leave out seeds
    temperatures: Sequence[float]  # the first one gets the plain names of figures


@dataclass(frozen=True, eq=False)
class Source:
    """What the figures of a problem are drawn from; a problem's module `figures` is handed it."""

    results: Results
    root: Path  # of the project, for tables that only this problem has
    block: ProblemBlock  # of the problem in params.yaml
    trajectories: pd.DataFrame  # data/evaluate/trajectories.parquet with condition columns
    thresholds: Sequence[float]  # values of J that are marked

    def environment(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """A table of data/environments/<problem>, see `read_csv`."""
        folder = self.root / "data" / "environments" / self.results.problem
        return read_csv(folder / f"{name}.csv", columns)

    def evaluated(self, name: str) -> pd.DataFrame:
        """A table of data/evaluate/<problem>, see `read_csv`."""
        return read_csv(self.root / "data" / "evaluate" / self.results.problem / f"{name}.csv")


def at(table: pd.DataFrame, **conditions: object) -> pd.DataFrame:
    """Rows that have these values."""
    for column, value in conditions.items():
        table = table[table[column] == value]
    return table


def studied(table: pd.DataFrame, study: str, temperatures: Sequence[float]) -> pd.DataFrame:
    """Rows at the first temperature at which the study was made; none if it was not made."""
    made = set(at(table, study=study)["temperature"])
    chosen = next((temperature for temperature in temperatures if temperature in made), None)
    return at(table, temperature=chosen)


def truncated_study(results: Results) -> pd.DataFrame:
    """Rows of the truncated-follower study at its smallest budget."""
    rows = at(results.summary, study="truncated_follower")
    rows = studied(rows, "truncated_follower", results.temperatures)
    return at(rows, budget=rows["budget"].min())


def best_known_of(main: pd.DataFrame) -> pd.DataFrame:
    """Columns case, variant and best_known, from the summary of the main comparison."""
    best = at(main, metric="best_known").drop_duplicates(["case", "variant"])
    return best[["case", "variant", "value"]].rename(columns={"value": "best_known"})
