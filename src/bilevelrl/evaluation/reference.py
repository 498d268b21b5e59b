"""Published learning curves, with our names and one definition of the standard error."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.evaluation.conditions import typed
from bilevelrl.runs.table_files import CorruptRecord, read_csv, read_json

#: Names in the published figures.
ESTIMATORS = {
    "BC-HG": "bc_hg",
    "HPGD (MC)": "hpgd_mc",
    "HPGD (SA)": "hpgd_sa",
    "HPGD (TD)": "hpgd_td",
    "HPGD (oracle)": "hpgd_oracle",
    "SoBiRL": "sobirl",
    "Naive-PGD": "naive",
    "Naive-PGD (on-policy)": "naive_on",
    "Naive-PGD (off-policy)": "naive_off",
    "Bi-AC (off-policy)": "bi_ac_off",
}
KEY = ["problem", "estimator", "temperature", "budget"]
_COLUMNS = [
    "temperature", "env_steps_per_update", "estimator", "update", "leader_return", "standard_error",
]  # fmt: skip
#: How a problem's curves were made. `averaged_over`: updates that a value is a trailing mean of;
#: `masked`: seeds that it leaves out at each end, at every update anew; `seeds` and `ddof`: the
#: standard error is √(Σ (x - mean)² / (seeds - ddof)) / √seeds.
_METHOD = ("averaged_over", "seeds", "ddof", "masked")
REFERENCE_COLUMNS = {
    "problem": "string", "estimator": "string", "temperature": "float64", "budget": "int64",
    "update": "int64", "averaged_over": "int64", "masked": "int64", "leader_return": "float64",
    "standard_error": "float64",
}  # fmt: skip


def read_references(folder: Path, problems: Iterable[str]) -> pd.DataFrame:
    """Published curves of those problems that have some, with our estimator names.

    Where a figure shows a population standard deviation (divisor n) over √n, as that of FourRooms
    does, its standard error is enlarged to the sample standard deviation's (divisor n - 1), which
    ours is.

    Args:
        folder: holds <problem>_curves.csv, and <problem>_curves.json on how they were made.
        problems: to look for.

    Returns:
        Columns `REFERENCE_COLUMNS`.

    Raises:
        CorruptRecord: if a file is there but is not such a table.
    """
    paths = {problem: folder / f"{problem}_curves.csv" for problem in problems}
    tables = (_read(path, problem) for problem, path in paths.items() if path.exists())
    return typed(tables, REFERENCE_COLUMNS)


def _read(path: Path, problem: str) -> pd.DataFrame:
    method = _read_method(path.with_suffix(".json"))
    table = read_csv(path)
    if missing := set(_COLUMNS) - set(table):
        raise CorruptRecord(f"{path}: no columns {sorted(missing)}")
    if unknown := set(table["estimator"]) - set(ESTIMATORS):
        raise CorruptRecord(f"{path}: unknown estimators {sorted(unknown)}")
    enlarged = np.sqrt((method["seeds"] - method["ddof"]) / (method["seeds"] - 1))
    return table.rename(columns={"env_steps_per_update": "budget"}).assign(
        problem=problem,
        estimator=table["estimator"].map(ESTIMATORS),
        standard_error=table["standard_error"] * enlarged,
        averaged_over=method["averaged_over"],
        masked=method["masked"],
    )


def _read_method(path: Path) -> dict[str, int]:
    content = read_json(path)
    if not isinstance(content, dict) or set(content) != set(_METHOD):
        raise CorruptRecord(f"{path}: expected the keys {list(_METHOD)}, got {content}")
    if not all(type(value) is int and value >= 0 for value in content.values()):
        raise CorruptRecord(f"{path}: expected counts, got {content}")
    return content


def published_means(reference: pd.DataFrame, fraction: float = 0.1) -> pd.DataFrame:
    """Mean and standard error of the last tenth of the published updates, one row per curve."""
    ends = reference["update"] + reference["averaged_over"]
    length = ends.groupby(reference["problem"]).transform("max")
    last = reference[reference["update"] > (1.0 - fraction) * length].rename(
        columns={"leader_return": "published_mean", "standard_error": "published_standard_error"}
    )
    measured = ["published_mean", "published_standard_error"]
    return last.groupby([*KEY, "masked"])[measured].mean().reset_index()
