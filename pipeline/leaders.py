"""DVC stage `leaders@<problem>-<estimator>`: train every run of one cell.

Reads:  params.yaml (problems.<problem>, followers, leaders, cells.<problem>.<estimator>).
Writes: data/leaders/<problem>/<estimator>/ (see `records.Cell`), and shows the runs in MLflow.
        Finished chunks are kept in .work/, so that a killed stage goes on where it stopped.
"""

import argparse
from pathlib import Path

from bilevelrl.config import read_params
from bilevelrl.execution import ResultCache, work_folder
from bilevelrl.leaders import train_cell
from bilevelrl.tracking import Tracker, sync_cell
from pipeline.attachments import attach_penalty_map
from pipeline.stage import run_stage


def main(problem: str, estimator: str, data: Path = Path("data/leaders")) -> None:
    """Train what is missing, write the cell, then tell MLflow."""
    cell = train_cell(read_params(), problem, estimator, ResultCache(work_folder() / "runs"))
    cell.write(data / problem / estimator)
    sync_cell(Tracker.here(Path.cwd(), "leaders"), cell, attach_penalty_map)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem")
    parser.add_argument("estimator")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem, arguments.estimator))
