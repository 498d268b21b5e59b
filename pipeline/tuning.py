"""Stages of the tuning pipeline (tuning/dvc.yaml): `search <name of a grid entry>` and `choose`.

Reads:  params.yaml (problems, followers, leaders), tuning/params.yaml; `choose`: tuning/results.
Writes: tuning/results/<name>.csv, one row per candidate; tuning/chosen.yaml.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.atomic_files import write_atomically
from bilevelrl.config import mapping_text, read_params, read_tuning_params
from bilevelrl.execution import ResultCache, work_folder
from bilevelrl.records import write_csv
from bilevelrl.tracking import Tracker
from bilevelrl.tuning import HYPERPARAMETERS, choose, score_candidates
from pipeline.stage import run_stage

RESULTS = Path("tuning/results")


def search(name: str) -> None:
    """Score all candidates of a cell, and show them in an MLflow experiment of their own."""
    tuning = read_tuning_params()
    problem, estimator = tuning.grid[name].problem, tuning.grid[name].estimator
    cache = ResultCache(work_folder() / "runs")
    table = score_candidates(read_params(), tuning, name, cache)
    write_csv(RESULTS / f"{name}.csv", table)
    tracker = Tracker.here(Path.cwd(), "tuning")
    names = []
    for row in table.to_dict("records"):
        params = {str(key): value for key, value in row.items() if pd.notna(value)}
        metrics = {key: float(params.pop(key)) for key in ("score", "standard_error")}
        names.append(f"{estimator} " + " ".join(f"{key}={params[key]}" for key in sorted(params)))
        tags = {"problem": problem, "estimator": estimator}
        tracker.put_summary(f"{name}-tuning", names[-1], {**params, **tags}, metrics, tags)
    tracker.retire_summaries(f"{name}-tuning", names)


def choose_all() -> None:
    """Write the winners, and how many candidates each estimator had."""
    cells: dict[str, Any] = {}
    candidates: dict[str, int] = {}
    for name, cell in read_tuning_params().grid.items():
        table = pd.read_csv(RESULTS / f"{name}.csv")
        chosen = cells.setdefault(cell.problem, {}).setdefault(cell.estimator, {})
        chosen.update(choose(table))
        swept = table[[key for key in HYPERPARAMETERS if key in table]].drop_duplicates()
        candidates[name] = len(swept)
    text = mapping_text({"candidates": candidates, "cells": cells})
    write_atomically(Path("tuning/chosen.yaml"), text.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("search", "choose"))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    run_stage(choose_all if arguments.stage == "choose" else lambda: search(*arguments.names))
