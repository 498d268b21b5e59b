"""DVC stage `leaders@<problem>-<estimator>`: train every run of one cell.

Reads:  params.yaml (followers; constants, learner, training, seeds and cells.<estimator> of
        <problem>);
        the followers' certified accuracy from data/followers/<problem>.
Writes: data/leaders/<problem>/<estimator>/ (see `runs.records.Cell`), and shows the runs in MLflow,
        or leaves that to `pipeline.repro`.
        Finished chunks are kept in .work/, so that a killed stage goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from bilevelrl.core.problem import Problem
from bilevelrl.problems import registry
from bilevelrl.runs.execution import ResultCache, work_folder
from bilevelrl.runs.leaders import train_cell, unstable_runs
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import Cell
from bilevelrl.runs.table_files import CorruptRecord, read_json, write_parquet
from bilevelrl.tracking.finished_runs import cell_name
from bilevelrl.tracking.sync import sync_cell, sync_pending
from bilevelrl.tracking.tracker import Tracker
from pipeline.stage import run_stage, shown_later


def check_follower(params: Params, path: Path) -> None:
    """Refuse, with a `CorruptRecord`, to train against a follower that nobody could solve."""
    for entry in read_json(path):
        if not entry["accuracy"] <= params.followers.tolerance:
            raise CorruptRecord(
                f"{path}: accuracy {entry['accuracy']} at temperature {entry['temperature']} "
                f"misses followers.tolerance = {params.followers.tolerance}"
            )


def write_tables(problem: Problem[Any], cell: Cell, folder: Path) -> None:
    """Tables that the problem's module `outcomes` makes of the trained leaders."""
    if registry.has(problem.block.kind, "outcomes"):
        for name, table in registry.part(problem.block.kind, "outcomes").tables(problem, cell):
            path = folder / "outcomes" / f"{name}.parquet"
            write_parquet(path, table, dict(table.dtypes.astype(str)))


def main(problem: str, estimator: str, data: Path = Path("data")) -> None:
    """Train what is missing, write the cell, then tell MLflow."""
    params = read_params()
    params.check_supported("cell", problem, estimator)
    check_follower(params, data / "followers" / problem / "accuracy.json")
    cell = train_cell(params, problem, estimator, ResultCache(work_folder() / "runs"))
    tracker = Tracker.here(Path.cwd())
    later = shown_later()
    # A sync beside us must not read half.
    with tracker.showing(cell_name(problem, estimator), later=later):
        folder = data / "leaders" / problem / estimator
        cell.write(folder)
        write_tables(params.problem(problem), cell, folder)
        for line in unstable_runs(cell):
            print(line)
        for run, why in cell.failures.items():
            print(f"WARNING: {run} has no result: {why}", file=sys.stderr)
        if not later:
            sync_cell(tracker, cell)
    if not later:
        sync_pending(tracker, data, Path.cwd())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem")
    parser.add_argument("estimator")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem, arguments.estimator))
