"""Do planned leaders of the guided cart-pole end apart? Seed by seed, against exact followers too.

`python benchmarks/planned_pairs.py benchmarks/results/planned_pairs.csv`: the shipped leaders train
on ten seeds for as many updates as the searches of their step sizes had, with random numbers in
common. After `HALF` of these updates and at the end a row says what J was as it was played (the
mean of the last tenth, as in the reports) and, of the θ in that update, J against the follower's
best response, which no learning follower disturbs: on the training grid, where nothing is sampled,
and in `EPISODES` episodes with the same random numbers for all. The two terms of the exact
hypergradient come with it. A table that is there already is continued.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.cell import Context
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.problems.guided_cartpole import cell
from bilevelrl.problems.guided_cartpole.game import CartPoleGame
from bilevelrl.problems.guided_cartpole.planning.reference import Reference
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import Params, read_params

PROBLEM = "guided_cartpole"
SEEDS = range(10)
UPDATES, HALF = 48, 24
EPISODES, EPISODES_SEED = 400, 70_000
#: Estimator and name of its entry in params.yaml, the dearest last.
LEADERS = (
    ("bc_hg", "planned"), ("naive", "planned"), ("naive", "improved"), ("bc_hg", "improved"),
)  # fmt: skip
Row = dict[str, object]


def reference(game: CartPoleGame) -> Reference:
    """Ground truth on the training grid, with more episodes than a run's."""
    rng = np.random.default_rng(EPISODES_SEED)
    horizon = game.rollout.problem.max_episode_steps
    numbers = rng.random((EPISODES, 4 + horizon)), rng.standard_normal((EPISODES, horizon))
    return Reference(game.rollout, game.reference.planner, *numbers)


def rows(params: Params, estimator: str, name: str, seed: int) -> Iterator[Row]:
    """Of one run."""
    problem = params.problem(PROBLEM)
    (setting,) = (
        own for key, own in problem.block.settings(PROBLEM, estimator) if key.endswith(f".{name}")
    )
    context: Context[Any, Any, Any] = Context(
        problem.block.constants, problem.followers, problem.block.training
    )
    built: Any = cell.build(maker(PROBLEM, estimator, setting), [setting], context)
    truth, played = reference(built.game), list[float]()
    steps = ascend(
        built.game, built.estimator, Streams([seed]), rule=built.rule, num_updates=UPDATES
    )
    for step in steps:
        played.append(float(built.game.leader_return(step.theta, step.response)[0]))
        if len(played) not in (HALF, UPDATES):
            continue
        found = truth.answer(0, step.theta[0], setting.temperature)
        direct, whole = found.planned.direct, found.planned.direct + found.planned.indirect
        norms = np.linalg.norm(direct), np.linalg.norm(whole)
        yield {
            "estimator": estimator, "leader": name, "seed": seed, "updates": len(played),
            "played": np.mean(played[-round(0.1 * len(played)) :]),
            "best_response": found.leader_return, "on_the_grid": found.planned.leader_return,
            "direct": norms[0], "indirect": np.linalg.norm(found.planned.indirect),
            "whole": norms[1], "cosine_of_direct": direct @ whole / np.prod(norms),
        }  # fmt: skip


if __name__ == "__main__":
    path, shipped = Path(sys.argv[1]), read_params()
    known = [] if not path.exists() else pd.read_csv(path).to_dict("records")
    done = {(row["estimator"], row["leader"], row["seed"]) for row in known}
    todo = [(*own, seed) for seed in SEEDS for own in LEADERS[:3]]
    for run in [*todo, *((*LEADERS[3], seed) for seed in SEEDS)]:
        if run not in done:
            known += rows(shipped, *run)
            table = pd.DataFrame(known)
            table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
