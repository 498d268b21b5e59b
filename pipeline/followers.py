"""DVC stage `followers`: best responses at the initial θ, and how fast each solver gets there.

Reads:  params.yaml (problems.<problem>, environments.<problem>.temperatures, followers),
        data/environments/<problem>.
Writes: data/followers/<problem>/{best_responses.npz, convergence.csv, accuracy.json}.
"""

import argparse
from pathlib import Path

import numpy as np

from bilevelrl.cells import make_four_rooms
from bilevelrl.config import read_params
from bilevelrl.convergence import best_response, convergence
from bilevelrl.records import concatenate, read_json, write_csv, write_json
from pipeline.stage import run_stage


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Solve at θ = 0 for both slip kernels and at every temperature."""
    params = read_params()
    entries = read_json(data / "environments" / problem_name / "metadata.json")["entries"]
    solver = params.followers
    arrays, accuracy, curves = {}, [], []
    for entry in entries:
        variant, temperature = entry["variant"], entry["temperature"]
        problem = make_four_rooms(getattr(params.problems, problem_name), variant)
        theta = np.zeros(problem.num_parameters)
        answer = best_response(problem, theta, temperature, solver.tolerance, solver.max_iterations)
        arrays[f"{variant}_{temperature}_policy"] = answer.policy[0]
        arrays[f"{variant}_{temperature}_value"] = answer.value[0]
        where = {"variant": variant, "temperature": temperature}
        accuracy.append(
            where
            | {
                "accuracy": float(answer.accuracy[0]),
                "iterations": int(answer.iterations[0]),
                "start_value": float(problem.planner.initial @ answer.value[0]),
            }
        )
        curve = convergence(
            problem, theta, temperature, solver.tolerance, solver.sweeps, solver.max_iterations
        )
        curves.append(curve.assign(**where))
    folder = data / "followers" / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "best_responses.npz", **arrays)
    write_csv(folder / "convergence.csv", concatenate(curves))
    write_json(folder / "accuracy.json", accuracy)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
