"""DVC stage `gradients`: every estimator against the exact hypergradient, at fixed θ.

Reads:  params.yaml (problems.<problem>, followers, gradients.<problem>); the best known θ from
        data/environments/<problem>.
Writes: data/gradients/<problem>.parquet, columns `records.GRADIENT_COLUMNS`.
"""

import argparse
from pathlib import Path

import pandas as pd

from bilevelrl.config import read_params
from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.gradients import replicate_all
from bilevelrl.records import GRADIENT_COLUMNS, read_array, write_parquet
from pipeline.stage import run_stage


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Replicate all studies and summarise each in one row."""
    params = read_params()
    name = f"published_{params.gradients[problem_name].temperature}"
    best_theta = read_array(data / "environments" / problem_name / "best_theta.npz", name)
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
        for study, estimates, exact in replicate_all(params, problem_name, best_theta)
    ]
    table = pd.DataFrame(rows)
    write_parquet(data / "gradients" / f"{problem_name}.parquet", table, GRADIENT_COLUMNS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
