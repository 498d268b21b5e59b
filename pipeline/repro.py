"""`dvc repro`, after all missing runs were trained at once: `python -m pipeline.repro`.

Says first what will be computed, how long that took on the machine of
benchmarks/results/durations.csv, and what is known already. What it trains is kept by content key,
as by the stages; `dvc repro` alone computes the same, one stage after the other.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bilevelrl.runs.ahead import Work, missing_work, train_ahead
from bilevelrl.runs.execution import ResultCache, work_folder
from bilevelrl.runs.forecast import Forecast, in_words
from bilevelrl.runs.params import Params, read_params
from pipeline.stage import FORECAST, SHOWN_LATER, run_stage, wait

DURATIONS = Path(__file__).absolute().parents[1] / "benchmarks" / "results" / "durations.csv"


def stages(params: Params) -> list[str]:
    """All stages of DVC in the order in which it runs them."""
    problems = list(params.grid_problems)
    each = {
        name: [f"{name}@{problem}" for problem in problems]
        for name in ("environments", "followers", "gradients", "figures")
    }
    leaders = [f"leaders@{cell}" for cell in params.grid]
    return [
        "grid", *each["environments"], *each["followers"], *leaders, *each["gradients"],
        "reward_structures", "evaluate", *each["figures"], "comparison",
    ]  # fmt: skip


def announcement(params: Params, work: Work, forecast: Forecast, fresh: bool) -> str:
    """One line: what is to do, how long it may take, what is known."""
    problems, cells = len(params.grid_problems), len(params.grid)
    todo = f"{problems} problems, {cells} cells: {work.missing} runs to train, {work.known} known"
    if not fresh and not work.missing:
        return f"{todo}; what changed otherwise, DVC will find"
    seconds = sum(work.seconds) / params.runtime.jobs
    seconds += forecast.remaining(stages(params)) if fresh else 0.0
    if not forecast.runs:
        return todo
    return f"{todo}; about {in_words(seconds)} with {params.runtime.jobs} processes"


def main(folder: Path, durations: Path = DURATIONS) -> None:
    """Train what is missing, then let DVC do the rest, both in a folder with params.yaml."""
    params, forecast = read_params(folder / "params.yaml"), Forecast.read(durations)
    cache = ResultCache(work_folder() / "runs")
    work = missing_work(params, cache, forecast)
    fresh = not (folder / "data" / "evaluate").exists()
    print(announcement(params, work, forecast, fresh), flush=True)
    train_ahead(params, work, cache)
    plan = {stage: forecast.stages.get(stage, 0.0) for stage in stages(params)}
    settings = {FORECAST: json.dumps(plan)} if fresh and forecast.stages else {}
    # What stages compute themselves is as little as what a worker does: the same kernels will do.
    settings |= {"NUMBA_NUM_THREADS": str(params.runtime.threads)}
    status = reproduce(folder, settings)
    if status:
        sys.exit(status)


def reproduce(folder: Path, settings: Mapping[str, str]) -> int:
    """`pipeline.dvc_repro`, while a process shows in MLflow what stages leave; its exit status.

    Stages would import MLflow one by one, and one core waits for them anyway.
    """
    environment = os.environ | settings
    command = [sys.executable, "-m", "pipeline.mlflow_sync", "--beside"]
    # In a session of its own: Ctrl-C ends the stages, then this.
    showing = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        stages = [sys.executable, "-m", "pipeline.dvc_repro"]
        status = wait(subprocess.Popen(stages, cwd=folder, env=environment | {SHOWN_LATER: "1"}))
    except BaseException:
        showing.terminate()  # what is left is pending
        raise
    finally:
        showing.communicate()
    return status


if __name__ == "__main__":
    run_stage(lambda: main(Path.cwd()))
