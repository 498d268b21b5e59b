"""How far leaders of houses that are soft actor-critics come in so many updates, on tuning seeds.

`OPENBLAS_NUM_THREADS=1 python benchmarks/sac_updates.py > benchmarks/results/sac_updates.csv`: the
shipped leaders against such houses, one that identifies them and one that is doubly centred, with
the updates that they once had, with those that they have, and with more days. Shares are of the way
from the flat to the best known tariff under the best response, after the last update; the CPU time
is that of all seeds.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.cell import Context
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.problems.home_battery import cell
from bilevelrl.problems.home_battery.problem import FLAT
from bilevelrl.problems.home_battery.search import Climber
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params

SEEDS = (10000, 10001, 10002)
#: Entry of the cells, its days per update, and updates.
CASES = (
    ("sac_identified", 1, 60),
    ("sac_identified", 1, 100),
    ("sac", 64, 100),
    ("sac", 64, 200),
    ("sac", 256, 100),
)


def shares(entry: str, days: int, updates: int) -> tuple[Any, float]:
    """The way of every seed, shape (R,), and seconds."""
    problem = read_params().problem("home_battery")
    block = problem.block
    found = {key.rsplit(".", 1)[1]: own for key, own in block.settings("home_battery", "bc_hg")}
    setting = found[entry].model_copy(update={"days_per_update": days, "num_updates": updates})
    many = [setting] * len(SEEDS)
    context = Context(block.constants, problem.followers, block.training)
    training = cell.build(maker("home_battery", "bc_hg", setting), many, context)
    estimator: Any = training.estimator  # which measures its errors too, beside what it estimates
    before = time.process_time()
    theta = train(
        training.game, estimator.estimator, Streams(SEEDS), rule=training.rule,
        num_updates=updates, max_rows=block.training.max_rows,
    ).theta  # fmt: skip
    seconds = time.process_time() - before
    game: Any = training.game
    climber = Climber(cell.exact_planner(game.problem, np.array([0.05]), problem.followers))
    flat = np.full(theta.shape[1], FLAT)
    low, high = climber.value(flat), climber.climb(flat, block.search.num_evaluations)[1]
    return (game.optimal_return(theta) - low) / (high - low), seconds


def rows() -> Iterator[dict[str, Any]]:
    """One per case, as it is done."""
    for entry, days, updates in CASES:
        way, seconds = shares(entry, days, updates)
        yield {
            "entry": entry, "days_per_update": days, "num_updates": updates, "seeds": len(way),
            "way_mean": way.mean(), "way_worst_seed": way.min(), "cpu_seconds": seconds,
        }  # fmt: skip


if __name__ == "__main__":
    for place, row in enumerate(rows()):
        table = pd.DataFrame([row])
        table.to_csv(sys.stdout, index=False, header=place == 0, float_format="%.4g")
        sys.stdout.flush()
