"""DVC stage `gradients`: every estimator against the exact hypergradient, at fixed θ.

Reads:  params.yaml (problems, leaders and gradients of <problem>, followers); the best known θ from
        data/environments/<problem>.
Writes: data/gradients/<problem>/quality.parquet, columns `records.GRADIENT_COLUMNS`, and
        information.csv, columns `records.INFORMATION_COLUMNS`, both without rows where nobody
        knows the hypergradient; of thermal_control also directions.csv.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.config import FAMILIES, Params, read_params
from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.game_gradients import LADDERS, GameStudy
from bilevelrl.game_gradients import replicate_all as replicate_games
from bilevelrl.gradients import Study, replicate_all
from bilevelrl.information_errors import FOUR_ROOMS
from bilevelrl.information_errors import errors as information_errors
from bilevelrl.records import (
    GRADIENT_COLUMNS,
    INFORMATION_COLUMNS,
    read_array,
    write_csv,
    write_parquet,
)
from bilevelrl.thermal_gradients import PROBLEM as THERMAL_CONTROL
from bilevelrl.thermal_gradients import ThermalStudy, directions
from bilevelrl.thermal_gradients import replicate_all as replicate_thermal
from pipeline.stage import run_stage

Floats = NDArray[np.float64]


def replications(
    params: Params, problem_name: str, data: Path
) -> Iterator[tuple[Study | GameStudy | ThermalStudy, Floats, Floats]]:
    """(study, estimates, exact hypergradient) of everything that is asked of a problem."""
    if problem_name == THERMAL_CONTROL:
        yield from replicate_thermal(params)
    elif problem_name in LADDERS:
        yield from replicate_games(params, problem_name)
    else:
        best_theta = read_best_theta(params, problem_name, data)
        yield from replicate_all(params, problem_name, best_theta)


def read_best_theta(params: Params, problem_name: str, data: Path) -> Floats:
    """The best known θ of FourRooms, shape (D,)."""
    name = f"published_{params.gradients.of(problem_name).temperature}"
    return read_array(data / "environments" / problem_name / "best_theta.npz", name)


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Replicate all studies and summarise each in one row; no rows without a hypergradient."""
    params = read_params()
    folder = data / "gradients" / problem_name
    if params.gradients.of(problem_name) is None:
        write_parquet(
            folder / "quality.parquet",
            pd.DataFrame(columns=list(GRADIENT_COLUMNS)),
            GRADIENT_COLUMNS,
        )
        write_csv(folder / "information.csv", pd.DataFrame(columns=list(INFORMATION_COLUMNS)))
        return
    rows = [
        gradient_row(
            estimates,
            exact,
            problem=problem_name,
            point=study.point,
            estimator=study.estimator,
            variant=study.variant,
            critic=study.critic,
            env_steps_per_update=study.budget,
        )
        for study, estimates, exact in replications(params, problem_name, data)
    ]
    write_parquet(folder / "quality.parquet", pd.DataFrame(rows), GRADIENT_COLUMNS)
    best = read_best_theta(params, problem_name, data) if problem_name == FOUR_ROOMS else None
    write_csv(folder / "information.csv", information_errors(params, problem_name, best))
    if problem_name == THERMAL_CONTROL:
        write_csv(folder / "directions.csv", directions(params))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name", choices=sorted(FAMILIES))
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
