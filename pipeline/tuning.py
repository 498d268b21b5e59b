"""Stages of the tuning pipeline (tuning/dvc.yaml): `search <name of a grid entry>` and `choose`.

Reads:  params.yaml (problems, followers, leaders), tuning/params.yaml; `choose`: tuning/results.
Writes: tuning/results/<name>.csv, one row per candidate; tuning/chosen.yaml.
"""

import argparse
from pathlib import Path

import pandas as pd

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.execution import ResultCache, work_folder
from bilevelrl.runs.params import read_params
from bilevelrl.runs.table_files import write_csv
from bilevelrl.runs.tuning import choose, effort_table, score_candidates
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.runs.yaml_files import mapping_text
from bilevelrl.tracking.sync import retire_left, sync_pending, sync_sweep
from bilevelrl.tracking.tracker import Tracker
from pipeline.stage import run_stage

RESULTS = Path("tuning/results")


def search(name: str) -> None:
    """Score all candidates of a cell, and show them in an MLflow experiment of their own."""
    tuning = read_tuning_params()
    cache = ResultCache(work_folder() / "runs")
    table = score_candidates(read_params(), tuning, name, cache)
    write_csv(RESULTS / f"{name}.csv", table)
    tracker = Tracker.here(Path.cwd())
    sync_sweep(tracker, name, Path.cwd())
    sync_pending(tracker, Path("data"), Path.cwd())


def choose_all() -> None:
    """Write the winners of every search, and how many candidates and seeds it had."""
    tuning = read_tuning_params()
    rows = effort_table(tuning).drop_duplicates("search").to_dict("records")
    effort = {row["search"]: row for row in rows}
    searches = {
        name: {
            "candidates": effort[name]["candidates"],
            "seeds": effort[name]["seeds"],
            "chosen": choose(tuning, name, pd.read_csv(RESULTS / f"{name}.csv")),
        }
        for name in tuning.grid
    }
    text = mapping_text(searches)
    write_atomically(Path("tuning/chosen.yaml"), text.encode())
    retire_left(Tracker.here(Path.cwd()), Path("data"), Path.cwd())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("search", "choose"))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    run_stage(choose_all if arguments.stage == "choose" else lambda: search(*arguments.names))
