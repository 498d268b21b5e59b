"""Reading what other stages wrote, and nothing that the grid does not list.

A file that is missing, unreadable or not what its writer promised is a `CorruptRecord`.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.evaluation.information_errors import error_curves
from bilevelrl.runs.records import (
    DIRECTION_COLUMNS,
    GRADIENT_COLUMNS,
    INFORMATION_COLUMNS,
    LEARNING_COLUMNS,
    Cell,
)
from bilevelrl.runs.table_files import CorruptRecord, concatenate, read_csv, read_json, read_parquet

#: (problem, estimator) of every cell, sorted.
Grid = list[tuple[str, str]]
#: Facts of a problem that results are measured against, per variant, temperature and case; see
#: `core.search.Searched.add`.
BASELINE_COLUMNS = (
    "problem", "variant", "temperature", "case", "initial_return", "charge_nothing_return",
    "best_known", "share_origin",
)  # fmt: skip
#: Of problems with one J, shares of which are shares of its size.
_ONE_CASE = {"case": "", "share_origin": None}


def read_grid(path: Path) -> Grid:
    """The cells of the grid; nobody reads folders that a larger grid left behind.

    Raises:
        CorruptRecord: if the file is missing or lists no cells.
    """
    content = read_json(path)
    try:
        cells = sorted({(cell["problem"], cell["estimator"]) for cell in content["cells"]})
    except (KeyError, TypeError) as error:
        why = f"expected cells with problem and estimator, {error!r}"
        raise CorruptRecord(f"{path}: {why}") from error
    if not cells:
        raise CorruptRecord(f"{path}: lists no cells")
    return cells


def read_cells(grid: Grid, leaders: Path) -> Iterator[Cell]:
    """The cells of the grid, one at a time because a cell may hold a million rows.

    Raises:
        CorruptRecord: if a cell is missing, unreadable, empty, or not the one its folder names.
    """
    for problem, estimator in grid:
        folder = leaders / problem / estimator
        cell = Cell.read(folder)
        found = set(zip(cell.curves["problem"], cell.curves["estimator"], strict=True))
        if found != {(problem, estimator)}:
            raise CorruptRecord(f"{folder}: expected rows of {problem}/{estimator}, got {found}")
        yield cell


def read_outcomes(grid: Grid, leaders: Path) -> dict[str, pd.DataFrame]:
    """What some problems say of their trained leaders, tables of one name stacked."""
    found: dict[str, list[pd.DataFrame]] = {}
    for problem, estimator in grid:
        for path in sorted((leaders / problem / estimator / "outcomes").glob("*.parquet")):
            found.setdefault(path.stem, []).append(read_parquet(path))
    return {name: concatenate(tables) for name, tables in found.items()}


def problems_of(grid: Grid) -> list[str]:
    """The problems of the grid, sorted."""
    return sorted({problem for problem, _ in grid})


def read_baselines(environments: Path, grid: Grid) -> pd.DataFrame:
    """Metadata of the grid's problems as a table with `BASELINE_COLUMNS`, in the files' order."""
    rows = []
    for problem in problems_of(grid):
        path = environments / problem / "metadata.json"
        content = read_json(path)
        try:
            entries = [_ONE_CASE | entry | {"problem": problem} for entry in content["entries"]]
            rows += [[entry[key] for key in BASELINE_COLUMNS] for entry in entries]
        except (KeyError, TypeError) as error:
            raise CorruptRecord(f"{path}: {error!r}") from error
    table = pd.DataFrame(rows, columns=list(BASELINE_COLUMNS))
    # Null where no leader can charge nothing, and where nobody searched for the best J.
    measured = ("charge_nothing_return", "best_known", "share_origin")
    return table.astype(dict.fromkeys(measured, "float64"))


def read_facts(environments: Path, grid: Grid) -> pd.DataFrame:
    """All that searches for the best J found, see `core.search.Searched.add`.

    Returns:
        Columns problem, variant, temperature, case, and one per fact that any problem has, by name;
        empty where an entry has no such fact. One row per entry.
    """
    rows = [
        {"case": ""} | entry | {"problem": problem}
        for problem in problems_of(grid)
        for entry in read_json(environments / problem / "metadata.json")["entries"]
    ]
    table, first = pd.DataFrame(rows), ["problem", "variant", "temperature", "case"]
    return table[[*first, *sorted(set(table.columns) - {*first})]]


def read_gradients(gradients: Path, grid: Grid) -> pd.DataFrame:
    """The estimator-error tables of the grid's problems; columns `GRADIENT_COLUMNS`.

    Like all that follow, rounded to six significant digits: the table is tracked, its noise need
    not be.
    """
    paths = (gradients / problem / "quality.parquet" for problem in problems_of(grid))
    tables = (read_parquet(path, GRADIENT_COLUMNS) for path in paths)
    return _rounded(_filled(tables, GRADIENT_COLUMNS))


def read_information_errors(gradients: Path, grid: Grid) -> pd.DataFrame:
    """Errors of watching leaders against samples, see `error_curves`."""
    paths = (gradients / problem / "information.csv" for problem in problems_of(grid))
    tables = (read_csv(path, INFORMATION_COLUMNS) for path in paths)
    rows = _filled(tables, INFORMATION_COLUMNS)
    # Empty where there is no choice, which reads as missing.
    belief = rows["belief"].astype(object).where(rows["belief"].notna(), "")
    return _rounded(error_curves(rows.assign(belief=belief)))


def read_learning(followers: Path, grid: Grid) -> pd.DataFrame:
    """Learning curves of the grid's followers, over seeds.

    Returns:
        Columns problem, follower, variant, temperature, steps, the median, the lowest, the highest
        and the mean value_gap, relative_gap and kl, seeds, and failed: seeds in which one of them
        is not finite, which leaves its statistics empty.
    """
    paths = (followers / problem / "learning.csv" for problem in problems_of(grid))
    table = concatenate(read_csv(path, LEARNING_COLUMNS) for path in paths)
    keys = ["problem", "follower", "variant", "temperature", "steps"]
    measured = ["value_gap", "relative_gap", "kl"]
    known = table[measured].astype("float64").replace([np.inf, -np.inf], np.nan)
    table[measured], table["failed"] = known, known.isna().any(axis=1)
    groups = table.groupby(keys)
    spread = {
        f"{name}_{statistic}": groups[name].agg(statistic, skipna=False)
        for name, statistic in product(measured, ("median", "min", "max", "mean"))
    }
    counts = {"seeds": groups["seed"].nunique(), "failed": groups["failed"].sum()}
    return _rounded(pd.DataFrame(spread).assign(**counts)).reset_index()


def read_directions(gradients: Path, grid: Grid) -> pd.DataFrame:
    """What the step rule makes of estimates, of problems that have been asked."""
    tables = (
        read_csv(gradients / problem / "directions.csv", DIRECTION_COLUMNS).assign(problem=problem)
        for problem in problems_of(grid)
    )
    return _rounded(_filled(tables, ("problem", *DIRECTION_COLUMNS)))


def _filled(tables: Iterable[pd.DataFrame], columns: Iterable[str]) -> pd.DataFrame:
    """Those that have rows, stacked; a table without says nothing of the types of its columns."""
    names = list(columns)
    filled = [table[names] for table in tables if len(table)]
    return concatenate(filled) if filled else pd.DataFrame(columns=names)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    floats = table.select_dtypes("float64").columns
    return table.assign(**{name: table[name].map(lambda x: float(f"{x:.6g}")) for name in floats})
