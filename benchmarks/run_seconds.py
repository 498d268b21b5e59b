"""What one run of each compared leader costs: `python -m benchmarks.run_seconds`.

Of every leader of `evaluation.model_knowledge`, of their like where nobody knows the best J, and of
other estimators where these identify their model too, all reported seeds train in this process,
together where they can; say `OPENBLAS_NUM_THREADS=1` before it. `cpu_seconds` are the mean of a
run: all of its updates, and what is recorded beside them, such as exact J. Trainings of less than
`BRIEF` seconds are measured at their second time, which compiles nothing. Longer ones that
`make repro` has just trained here, by one thread each, are not repeated: the cache knows theirs.

Measures what benchmarks/results/run_seconds.csv lacks or knows of other numbers of updates or
seeds, and writes each row when it is known; rows that left the grid vanish. With words, only
entries that have all of them as problem, estimator, variant or condition (`four_rooms corrected
env_steps_per_update=100`); `--again` measures these anew.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.core.settings import Setting
from bilevelrl.evaluation.conditions import GROUP, conditions_of, with_conditions
from bilevelrl.evaluation.model_knowledge import with_leaders
from bilevelrl.runs.execution import ResultCache, run_tasks, work_folder
from bilevelrl.runs.leaders import SECONDS, list_runs, make_chunks, train_timed
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import RunIdentity, roles_string, setting_string

RESULTS = Path(__file__).absolute().parent / "results" / "run_seconds.csv"
COLUMNS = (*GROUP, "updates", "runs", "cpu_seconds", "commit")
BRIEF = 100.0
#: Problem, estimator, variant and name of the setting.
Entry = tuple[str, str, str, str]


def entries(params: Params) -> dict[Entry, Setting]:
    """The leaders that are compared, in the order of params.yaml."""
    settings, runs = dict[Entry, Setting](), []
    for item in params.grid.values():
        shared = params.block(item.problem).shared()
        for setting in params.settings(item.problem, item.estimator):
            told = setting.conditions(shared)
            entry = item.problem, item.estimator, setting.variant, setting_string(told)
            settings[entry] = setting
            runs.append(
                RunIdentity(*entry, 0, "", conditions=told, roles=roles_string(setting.roles))
            )
    known = conditions_of(runs)
    chosen = set(_compared(with_conditions(known[GROUP], known)))
    return {entry: setting for entry, setting in settings.items() if entry in chosen}


def _compared(table: pd.DataFrame) -> Iterator[Entry]:
    rows = [with_leaders(table)]
    for estimator in table["estimator"].unique():
        own = with_leaders(table, ours=estimator)
        identifying = own.loc[own["leader"] == "identified", "problem"]
        rows.append(own[own["problem"].isin(identifying)])
    for problem, estimator, variant, setting in pd.concat(rows)[GROUP].to_numpy():
        yield problem, estimator, variant, setting


def measure(params: Params, entry: Entry, setting: Setting, cache: ResultCache) -> float:
    """CPU seconds of one of the setting's runs, of which `cache` may know."""
    cell = entry[:2]
    runs = list_runs(params, *cell, [setting])
    alone = params.runtime.model_copy(update={"jobs": 1, "threads": 1, "backend": "loky"})
    chunks = make_chunks(params.model_copy(update={"runtime": alone}), {cell: runs})

    def total() -> float:
        trained = (found for _, found in run_tasks(train_timed, chunks, alone))
        return sum(float(arrays[SECONDS]) for found in trained for arrays in found)

    known = [cache.get(run.key) for run in runs]
    seconds = sum(float(found[SECONDS]) for found in known if found is not None)
    if seconds < BRIEF or any(found is None for found in known):
        seconds = total()
    return (total() if seconds < BRIEF else seconds) / len(runs)


def main(arguments: Sequence[str] | None = None, path: Path = RESULTS) -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="measure only entries with all of these")
    parser.add_argument("--again", action="store_true", help="also what is known")
    asked = parser.parse_args(arguments)
    params, known = read_params(), _known(path)
    found = entries(params)
    rows = {
        entry: known[entry]
        for entry, setting in found.items()
        if entry in known and known[entry][:2] == (setting.num_updates, setting.num_seeds)
    }
    words = set(asked.words)
    cache = ResultCache(work_folder() / "runs")
    wanted = [entry for entry in found if words <= {*entry[:3], *entry[3].split(";")}]
    missing = [entry for entry in wanted if asked.again or entry not in rows]
    for place, entry in enumerate(missing, 1):
        print(f"[{place}/{len(missing)}] {' '.join(entry)}", file=sys.stderr, flush=True)
        setting = found[entry]
        seconds = float(f"{measure(params, entry, setting, cache):.3g}")
        rows[entry] = setting.num_updates, setting.num_seeds, seconds, _commit()
        table = [(*each, *rows[each]) for each in found if each in rows]
        pd.DataFrame(table, columns=list(COLUMNS)).to_csv(path, index=False, lineterminator="\n")


def _known(path: Path) -> dict[Entry, tuple[int, int, float, str]]:
    if not path.exists():
        return {}
    table = pd.read_csv(path, dtype={"commit": str})
    return {
        (row["problem"], row["estimator"], row["variant"], row["setting"]): (
            int(row["updates"]), int(row["runs"]), float(row["cpu_seconds"]), row["commit"],
        )
        for row in table.to_dict("records")
        if np.isfinite(row["cpu_seconds"])
    }  # fmt: skip


def _commit() -> str:
    head = ["git", "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(
        head, cwd=RESULTS.parent, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
