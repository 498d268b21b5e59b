"""DVC stage `followers`: best responses at the initial θ, how fast solvers and learners get there.

Reads:  params.yaml (constants, learner, learning and training of <problem>, followers),
        data/environments/<problem>.
Writes: data/followers/<problem>/{best_responses.npz, convergence.csv, accuracy.json,
        learning.csv, learned_policies.npz}; no rows where nobody knows the best response.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.core.atomic_files import write_arrays
from bilevelrl.problems import registry
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import LEARNING_COLUMNS
from bilevelrl.runs.remembering import tasks_runner
from bilevelrl.runs.table_files import concatenate, read_csv, read_json, write_csv, write_json
from bilevelrl.tracking.finished_runs import FOLLOWERS, cell_name
from bilevelrl.tracking.sync import sync_followers, sync_pending
from bilevelrl.tracking.tracker import Tracker
from pipeline.stage import run_problem_stage, shown_later


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Solve for every variant and temperature that the environments stage lists, then learn."""
    params = read_params()
    problem = params.problem(problem_name)
    run_tasks = tasks_runner(params.runtime)
    kind = problem.block.kind
    known = registry.has(kind, "best_response")
    entries = read_json(data / "environments" / problem_name / "metadata.json")["entries"]
    arrays: dict[str, Any] = {}
    accuracy = []
    curves = [pd.DataFrame(columns=["solver", "iteration", "accuracy", "kl"])]
    for entry in entries if known else ():
        variant, temperature = entry["variant"], entry["temperature"]
        solved = registry.part(kind, "best_response").solve(problem, variant, temperature)
        for name, array in solved.arrays.items():
            arrays[f"{variant}_{temperature}_{name}"] = array
        where = {"variant": variant, "temperature": temperature}
        accuracy.append(where | solved.found)
        curves.append(solved.convergence.assign(**where))
    folder = data / "followers" / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "best_responses.npz", arrays)
    write_csv(folder / "convergence.csv", concatenate(curves[1:] or curves))
    write_json(folder / "accuracy.json", accuracy)
    policies: dict[str, Any] = {}
    learned = []
    asked = problem.block.learning is not None
    temperatures = dict.fromkeys(entry["temperature"] for entry in entries) if asked else {}
    for temperature in temperatures:
        result = registry.part(kind, "best_response").learn(problem, temperature, run_tasks)
        policies |= {f"{temperature}_{name}": array for name, array in result.policy.items()}
        where = {"problem": problem_name, "variant": "corrected", "temperature": temperature}
        learned.append(result.curves.assign(**where))
    write_arrays(folder / "learned_policies.npz", policies)
    empty = pd.DataFrame(columns=list(LEARNING_COLUMNS))
    learning = concatenate(learned)[list(LEARNING_COLUMNS)] if learned else empty
    write_csv(folder / "learning.csv", learning)
    tracker = Tracker.here(Path.cwd())
    if shown_later():
        tracker.postpone(cell_name(FOLLOWERS, problem_name))
        return
    # As the file has them, which is what `pipeline.mlflow_sync` will compare with.
    stored = read_csv(folder / "learning.csv", LEARNING_COLUMNS)
    sync_followers(tracker, problem_name, stored)
    sync_pending(tracker, data, Path.cwd())


if __name__ == "__main__":
    run_problem_stage(main, __doc__)
