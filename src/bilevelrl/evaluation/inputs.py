"""Reading what other stages wrote, and nothing that the grid does not list."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
#: Facts of a problem that results are measured against, per variant and temperature.
BASELINE_COLUMNS = (
    "problem", "variant", "temperature", "initial_return", "charge_nothing_return", "best_known",
)  # fmt: skip


def read_grid(path: Path) -> Grid:
    """(problem, estimator) of every cell of the grid, sorted.

    Folders that a larger grid left behind are not in it, so nobody reads them.

    Raises:
        CorruptRecord: if the file is missing or lists no cells.
    """
    content = read_json(path)
    try:
        cells = sorted({(cell["problem"], cell["estimator"]) for cell in content["cells"]})
    except (KeyError, TypeError) as error:
        raise CorruptRecord(
            f"{path}: expected cells with problem and estimator, {error!r}"
        ) from error
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
    """What some problems say of their trained leaders, tables of one name stacked.

    Raises:
        CorruptRecord: if a table is unreadable.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    for problem, estimator in grid:
        for path in sorted((leaders / problem / estimator / "outcomes").glob("*.parquet")):
            found.setdefault(path.stem, []).append(read_parquet(path))
    return {name: concatenate(tables) for name, tables in found.items()}


def problems_of(grid: Grid) -> list[str]:
    """The problems of the grid, sorted."""
    return sorted({problem for problem, _ in grid})


def read_baselines(environments: Path, grid: Grid) -> pd.DataFrame:
    """Metadata of the grid's problems as a table with `BASELINE_COLUMNS`, in the files' order.

    Raises:
        CorruptRecord: if a file is missing or an entry lacks a key.
    """
    rows: list[dict[str, Any]] = []
    for problem in problems_of(grid):
        path = environments / problem / "metadata.json"
        content = read_json(path)
        try:
            rows += [
                {key: {**entry, "problem": problem}[key] for key in BASELINE_COLUMNS}
                for entry in content["entries"]
            ]
        except (KeyError, TypeError) as error:
            raise CorruptRecord(f"{path}: {error!r}") from error
    table = pd.DataFrame(rows, columns=list(BASELINE_COLUMNS))
    # Null where no leader can charge nothing, and where nobody searched for the best J.
    return table.astype({"charge_nothing_return": "float64", "best_known": "float64"})


def read_gradients(gradients: Path, grid: Grid) -> pd.DataFrame:
    """The estimator-error tables of the grid's problems; columns `GRADIENT_COLUMNS`.

    Floats are rounded to six significant digits: the table is tracked, its noise need not be.

    Raises:
        CorruptRecord: if a table is missing or unreadable.
    """
    tables = [
        read_parquet(gradients / problem / "quality.parquet", GRADIENT_COLUMNS)
        for problem in problems_of(grid)
    ]
    table = _filled(tables, list(GRADIENT_COLUMNS))
    floats = [name for name, kind in GRADIENT_COLUMNS.items() if kind == "float64"]
    return table.assign(**{name: table[name].map(_six_digits) for name in floats})


def read_information_errors(gradients: Path, grid: Grid) -> pd.DataFrame:
    """Errors of watching leaders against samples, see `error_curves`; rounded likewise.

    Raises:
        CorruptRecord: if a table is missing or unreadable.
    """
    tables = [
        read_csv(gradients / problem / "information.csv", INFORMATION_COLUMNS)
        for problem in problems_of(grid)
    ]
    rows = _filled(tables, list(INFORMATION_COLUMNS))
    # Empty where there is no choice, which reads as missing.
    belief = rows["belief"].astype(object).where(rows["belief"].notna(), "")
    table = error_curves(rows.assign(belief=belief))
    floats = table.select_dtypes("float64").columns
    return table.assign(**{name: table[name].map(_six_digits) for name in floats})


def read_learning(followers: Path, grid: Grid) -> pd.DataFrame:
    """Learning curves of the grid's followers, over seeds.

    Returns:
        Columns problem, follower, variant, temperature, steps, the median, the lowest, the highest
        and the mean value_gap, relative_gap and kl, seeds, and failed: seeds in which one of them
        is not finite, which leaves its statistics empty.

    Raises:
        CorruptRecord: if a table is missing or unreadable.
    """
    table = concatenate(
        read_csv(followers / problem / "learning.csv", LEARNING_COLUMNS)
        for problem in problems_of(grid)
    )
    keys = ["problem", "follower", "variant", "temperature", "steps"]
    measured = ["value_gap", "relative_gap", "kl"]
    values = table[measured].to_numpy(dtype=np.float64)
    finite = np.isfinite(values)
    known = pd.DataFrame(np.where(finite, values, np.nan), columns=measured, index=table.index)
    failed = pd.Series(~finite.all(axis=1), index=table.index)
    groups = table.assign(**known, failed=failed).groupby(keys)
    spread = pd.DataFrame(
        {
            f"{name}_{statistic}": groups[name].agg(statistic, skipna=False).map(_six_digits)
            for name in measured
            for statistic in ("median", "min", "max", "mean")
        }
    )
    counts = {"seeds": groups["seed"].nunique(), "failed": groups["failed"].sum()}
    return spread.assign(**counts).reset_index()


def read_directions(gradients: Path, grid: Grid) -> pd.DataFrame:
    """What the step rule makes of estimates, of problems that have been asked; rounded likewise.

    Raises:
        CorruptRecord: if a table is missing or unreadable.
    """
    tables = [
        read_csv(gradients / problem / "directions.csv", DIRECTION_COLUMNS).assign(problem=problem)
        for problem in problems_of(grid)
    ]
    columns = ["problem", *DIRECTION_COLUMNS]
    table = _filled(tables, columns)
    floats = table.select_dtypes("float64").columns
    return table.assign(**{name: table[name].map(_six_digits) for name in floats})


def _filled(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Those that have rows, stacked; a table without says nothing of the types of its columns."""
    filled = [table[columns] for table in tables if len(table)]
    return concatenate(filled) if filled else pd.DataFrame(columns=columns)


def _six_digits(number: float) -> float:
    return float(f"{number:.6g}")
