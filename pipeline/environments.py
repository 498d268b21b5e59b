"""DVC stage `environments`: one problem as arrays, J at the initial θ, and the best known J.

Reads:  params.yaml (problems.<problem>, environments.<problem>, followers).
Writes: data/environments/<problem>/{model.npz, best_theta.npz, starts.csv, metadata.json}.
"""

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from bilevelrl.cells import make_four_rooms
from bilevelrl.config import Variant, read_params
from bilevelrl.records import START_COLUMNS, write_csv, write_json
from bilevelrl.search import best_known, leader_return_at
from pipeline.stage import run_stage


def main(problem_name: str, data: Path = Path("data/environments")) -> None:
    """Search for the best θ under both slip kernels and at every temperature."""
    params = read_params()
    constants = getattr(params.problems, problem_name)
    search = params.environments[problem_name]
    entries, starts, best_theta, model = [], [], {}, {}
    for variant in get_args(Variant):
        problem = make_four_rooms(constants, variant)
        for role in ("planner", "simulator"):
            model[f"{variant}_{role}"] = getattr(problem, role).transition
        theta = np.zeros(problem.num_parameters)
        kept = np.append(theta[:-1], 50.0)  # all of the budget stays with the leader
        for temperature in search.temperatures:
            found = best_known(
                constants, variant, temperature, search, params.followers, params.runtime
            )
            best_theta[f"{variant}_{temperature}"] = found.theta
            entries.append(
                {
                    "variant": variant,
                    "temperature": temperature,
                    "initial_return": leader_return_at(
                        problem, theta, temperature, params.followers
                    ),
                    "charge_nothing_return": leader_return_at(
                        problem, kept, temperature, params.followers
                    ),
                    "best_known": found.leader_return,
                    "best_known_start": found.start,
                    "num_starts": len(found.returns),
                }
            )
            starts += [
                (problem_name, variant, temperature, *start.split(", ", 1), value)
                for start, value in found.returns.items()
            ]
    folder = data / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "model.npz",
        cells=np.array(problem.cells),
        moves=problem.moves,
        initial=problem.planner.initial,
        discount=problem.planner.discount,
        **model,
    )
    np.savez_compressed(folder / "best_theta.npz", **best_theta)  # type: ignore[arg-type]
    write_csv(folder / "starts.csv", pd.DataFrame(starts, columns=list(START_COLUMNS)))
    write_json(folder / "metadata.json", {"problem": problem_name, "entries": entries})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
