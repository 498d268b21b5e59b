"""Where the time of a cold `make repro` goes: `python benchmarks/stages.py --save`.

Clones the project's last commit into a temporary folder, with empty caches of runs and kernels,
runs `python -m pipeline.repro` there (or a profile) in this environment, and prints one row per
stage: wall and CPU seconds, and of the latter those of imports, of Numba's compiler and of SAC.
`ahead` are all runs, which are trained before DVC starts; what the wall clock saw beside stages is
DVC's, and `mlflow` the process beside them. `benchmarks/clocks` measures. `--save` writes the table
to benchmarks/results/stages.csv, and beside it durations.csv, with which `make repro` forecasts:
CPU seconds of runs, wall seconds of stages.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.runs.execution import ResultCache, work_folder
from bilevelrl.runs.forecast import DURATION_COLUMNS
from bilevelrl.runs.leaders import SECONDS, list_runs
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import setting_string

HERE = Path(__file__).absolute().parent
AROUND = ("ahead", "dvc", "mlflow")
PARTS = ("cpu", "imports", "compilation", "sac")


def table(clocks: Path, wall: float) -> pd.DataFrame:
    """One row per stage, then DVC and the sum; seconds."""
    records = pd.DataFrame([json.loads(path.read_text()) for path in sorted(clocks.iterdir())])
    by_stage = records.groupby("stage")
    rows = by_stage[list(PARTS)].sum()
    rows.insert(0, "wall", by_stage["ended"].max() - by_stage["started"].min())
    rows = rows.loc[by_stage["started"].min().sort_values().index]
    # What trains ahead waits for DVC, which waits for each stage; MLflow is fed beside them.
    waits = records.loc[records["stage"] == "dvc", "started"].min()
    rows.loc["ahead", "wall"] = waits - by_stage["started"].min()["ahead"]
    inner = rows.drop([name for name in AROUND if name in rows.index])["wall"].sum()
    rows.loc["dvc", "wall"] = wall - rows.loc["ahead", "wall"] - inner
    rows.loc[rows.index == "mlflow", "wall"] = 0.0
    last = {"all": {**rows.sum(), "wall": wall}}
    return pd.concat([rows, pd.DataFrame(last).T]).round(1).rename_axis("stage").reset_index()


def durations(stages: pd.DataFrame) -> pd.DataFrame:
    """Columns `DURATION_COLUMNS`, in a clone that has run, with its table of stages."""
    params, cache = read_params(), ResultCache(work_folder() / "runs")
    rows: list[tuple[str, str, str, int | str, float]] = []
    for item in params.grid.values():
        cell = item.problem, item.estimator
        shared = params.block(item.problem).shared()
        for setting in params.settings(*cell):
            found = [cache.get(run.key) for run in list_runs(params, *cell, [setting])]
            seconds = [float(each[SECONDS]) for each in found if each is not None]
            name = setting_string(setting.conditions(shared))
            rows.append((*cell, name, setting.num_updates, round(float(np.mean(seconds)), 2)))
    beside = stages[~stages["stage"].isin([*AROUND, "all"])]
    walls = zip(beside["stage"], beside["wall"], strict=True)
    rows += [(name, "", "", "", wall) for name, wall in walls]
    return pd.DataFrame(rows, columns=list(DURATION_COLUMNS))


def main(profile: str | None, folder: Path, save: bool) -> None:
    """Run cold in `folder`, print the table."""
    clone, clocks = folder / "clone", folder / "clocks"
    subprocess.run(["git", "clone", "--quiet", HERE.parent, clone], check=True)
    clocks.mkdir()
    environment = os.environ | {
        "STAGE_CLOCKS": str(clocks),
        # The clone's package, wherever this environment has it from.
        "PYTHONPATH": os.pathsep.join(map(str, (HERE / "clocks", clone / "src", clone))),
        "NUMBA_CACHE_DIR": str(folder / "kernels"),
        "DVC_NO_ANALYTICS": "1",
    }
    command = [sys.executable, "-m", "pipeline.repro"]
    if profile is not None:
        command = [sys.executable, "-m", "pipeline.profile", profile]
    started = time.time()
    subprocess.run(command, cwd=clone, env=environment, stdout=sys.stderr, check=True)
    found = table(clocks, time.time() - started)
    found.to_csv(sys.stdout, index=False, lineterminator="\n")
    if save:
        results = HERE / "results"
        found.to_csv(results / "stages.csv", index=False, lineterminator="\n")
        # By the code of the clone, which knows the keys of its runs.
        again = [sys.executable, HERE / "stages.py", "--durations"]
        subprocess.run(again, cwd=clone, env=environment, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", help="a file of profiles/, without it params.yaml as it is")
    parser.add_argument("--folder", type=Path, help="an empty folder, kept; else a temporary one")
    parser.add_argument("--save", action="store_true", help="in benchmarks/results")
    parser.add_argument("--durations", action="store_true", help="of the runs in this folder")
    arguments = parser.parse_args()
    if arguments.durations:
        measured = durations(pd.read_csv(HERE / "results" / "stages.csv"))
        measured.to_csv(HERE / "results" / "durations.csv", index=False, lineterminator="\n")
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        main(arguments.profile, arguments.folder or Path(temporary), arguments.save)
