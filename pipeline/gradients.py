"""DVC stage `gradients`: every estimator against the exact hypergradient, at fixed θ.

Reads:  params.yaml (constants, training and gradients of <problem>, followers); the best known θ,
        where somebody has searched, from data/environments/<problem>.
Writes: data/gradients/<problem>/quality.parquet, columns `runs.records.GRADIENT_COLUMNS`,
        information.csv, columns `runs.records.INFORMATION_COLUMNS`, and directions.csv, columns
        `runs.records.DIRECTION_COLUMNS`; no rows where nobody knows the hypergradient.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import (
    DIRECTION_COLUMNS,
    GRADIENT_COLUMNS,
    INFORMATION_COLUMNS,
    START_COLUMNS,
)
from bilevelrl.runs.remembering import tasks_runner
from bilevelrl.runs.table_files import read_array, read_csv, write_csv, write_parquet
from bilevelrl.studies.directions import directions
from bilevelrl.studies.gradient_errors import quality_rows
from bilevelrl.studies.information_errors import errors
from pipeline.stage import run_problem_stage


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Replicate all studies and summarise each in one row."""
    params = read_params()
    problem = params.problem(problem_name)
    run_tasks = tasks_runner(params.runtime)
    quality = pd.DataFrame(columns=list(GRADIENT_COLUMNS))
    information = pd.DataFrame(columns=list(INFORMATION_COLUMNS))
    turned = pd.DataFrame(columns=list(DIRECTION_COLUMNS))
    if problem.block.gradients is not None:
        best = _best_theta(
            data / "environments" / problem_name, problem.block.gradients.temperature
        )
        quality = pd.DataFrame(quality_rows(problem, best, run_tasks))
        information = errors(problem, best, run_tasks)
        turned = directions(problem, run_tasks)
    folder = data / "gradients" / problem_name
    write_parquet(folder / "quality.parquet", quality, GRADIENT_COLUMNS)
    write_csv(folder / "information.csv", information)
    write_csv(folder / "directions.csv", turned)


def _best_theta(folder: Path, temperature: float) -> Floats:
    """The best known θ, shape (D,), or (0,) of a problem of which nobody has searched."""
    if read_csv(folder / "starts.csv", START_COLUMNS).empty:
        return np.zeros(0)
    return read_array(folder / "best_theta.npz", f"published_{temperature}")


if __name__ == "__main__":
    run_problem_stage(main, __doc__)
