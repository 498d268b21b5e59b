"""DVC stage `environments`: one problem as arrays, J at the initial θ, and the best known J.

Reads:  params.yaml (constants, search and training of <problem>, followers).
Writes: data/environments/<problem>/{model.npz, best_theta.npz, starts.csv, metadata.json}, and the
        tables that the problem's module `search` adds.
"""

from pathlib import Path

import pandas as pd

from bilevelrl.core.atomic_files import write_arrays
from bilevelrl.problems import registry
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import START_COLUMNS
from bilevelrl.runs.remembering import tasks_runner
from bilevelrl.runs.table_files import write_csv, write_json
from pipeline.stage import run_problem_stage


def main(problem_name: str, data: Path = Path("data/environments")) -> None:
    """Write everything about one problem."""
    params = read_params()
    problem = params.problem(problem_name)
    run_tasks = tasks_runner(params.runtime)
    found = registry.part(problem.block.kind, "search").search(problem, run_tasks)
    folder = data / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "model.npz", found.model)
    write_arrays(folder / "best_theta.npz", found.best_theta)
    for name, table in found.tables.items():
        write_csv(folder / f"{name}.csv", table)
    starts = [(problem_name, *start) for start in found.starts]
    write_csv(folder / "starts.csv", pd.DataFrame(starts, columns=list(START_COLUMNS)))
    write_json(folder / "metadata.json", {"problem": problem_name, "entries": found.entries})


if __name__ == "__main__":
    run_problem_stage(main, __doc__)
