"""What planning for all runs at once could save, where leaders plan for one run after another.

`OPENBLAS_NUM_THREADS=1 python -m benchmarks.planning > benchmarks/results/planning.csv`: leaders
that plan in a model of their own train on a tuning seed, once to compile, once under a profiler
that counts CPU seconds. One array for all runs saves calls: at most what the interpreter takes, and
what it costs to call libraries (NumPy, SciPy, torch). What kernels take grows with the runs either
way.
"""

import cProfile
import pstats
import sys
import time
from types import CodeType

import pandas as pd
from numba.core.dispatcher import Dispatcher

from bilevelrl.core.settings import Setting
from bilevelrl.runs.chunks import train_chunk
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import Params, read_params

SEED = 10_000
#: Problem, estimator and name in params.yaml of what is measured, and its updates, if not all.
CELLS = (
    ("four_rooms", "bc_hg", "identified_100", None),
    ("four_rooms", "bc_hg", "identified_1000", None),
    ("thermal_control", "bc_hg", "identified_100", None),
    ("guided_cartpole", "bc_hg", "planned", 4),
    ("home_battery", "bc_hg", "identified", None),
)  # fmt: skip
#: Where the profiler says that functions of compiled libraries are.
_LIBRARIES = "~"


def profiled(params: Params, problem: str, estimator: str, setting: Setting) -> dict[str, float]:
    """CPU seconds of one run, and the shares that its parts have of them."""
    runs = list_runs(params, problem, estimator, [setting])
    (chunk,) = make_chunks(params, {(problem, estimator): runs})
    train_chunk(chunk)
    profile = cProfile.Profile(time.process_time)
    profile.runcall(train_chunk, chunk)
    kernels = _kernels()
    seconds = dict.fromkeys(("kernels", "libraries", "interpreter"), 0.0)
    for place, (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        part = "libraries" if place[0] == _LIBRARIES else "interpreter"
        seconds["kernels" if place in kernels else part] += own
    total = sum(seconds.values())
    return {"cpu_seconds": total} | {part: own / total for part, own in seconds.items()}


def _kernels() -> set[tuple[str, int, str]]:
    """File, line and name of every kernel that is loaded, as the profiler calls them."""
    found = set()
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("bilevelrl."):
            for value in vars(module).values():
                if isinstance(value, Dispatcher):
                    code: CodeType = value.py_func.__code__
                    found.add((code.co_filename, code.co_firstlineno, code.co_name))
    return found


def main() -> None:
    """Print one row per cell."""
    params, rows = read_params(), []
    for problem, estimator, name, updates in CELLS:
        named = params.block(problem).settings(problem, estimator)
        (own, *_) = [setting for key, setting in named if key.rsplit(".", 1)[1] == name]
        changes = {"first_seed": SEED, "num_seeds": 1, "num_updates": updates or own.num_updates}
        own = own.model_copy(update=changes)
        print(problem, name, file=sys.stderr, flush=True)
        rows.append(
            {"problem": problem, "estimator": estimator, "name": name, "updates": own.num_updates}
            | profiled(params, problem, estimator, own)
        )
    pd.DataFrame(rows).to_csv(sys.stdout, index=False, float_format="%.3g", lineterminator="\n")


if __name__ == "__main__":
    main()
