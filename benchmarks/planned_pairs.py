"""Do planned leaders of the guided cart-pole end apart? Seed by seed, against exact followers too.

`python benchmarks/planned_pairs.py benchmarks/results/planned_pairs.csv`: the shipped leaders train
on ten seeds for as many updates as in the grid, with random numbers in common; the first five seeds
are the grid's. A row has means over the last tenth of a run: J as it was played, and, of the same
θ, J against the follower's best response, which no learning follower disturbs: on the training
grid, where nothing is sampled, and in `EPISODES` episodes with the same random numbers for all. The
two terms of the exact hypergradient at the last θ come with it. A table that is there already is
continued.
"""

import sys
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
from bilevelrl.runs.records import is_late

PROBLEM = "guided_cartpole"
SEEDS = range(10)
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


def row(params: Params, estimator: str, name: str, seed: int) -> Row:
    """Of one run."""
    problem = params.problem(PROBLEM)
    (setting,) = (
        own for key, own in problem.block.settings(PROBLEM, estimator) if key.endswith(f".{name}")
    )
    context: Context[Any, Any, Any] = Context(
        problem.block.constants, problem.followers, problem.block.training
    )
    built: Any = cell.build(maker(PROBLEM, estimator, setting), [setting], context)
    truth, ended = reference(built.game), list[tuple[float, ...]]()
    updates, final = setting.num_updates, params.evaluate.final_fraction
    steps = ascend(
        built.game, built.estimator, Streams([seed]), rule=built.rule, num_updates=updates
    )
    for step in steps:
        if is_late(np.array([step.update]), np.array([updates]), final)[0]:
            found = truth.answer(0, step.theta[0], setting.temperature)
            played = float(built.game.leader_return(step.theta, step.response)[0])
            ended.append((played, found.leader_return, found.planned.leader_return))
    direct, whole = found.planned.direct, found.planned.direct + found.planned.indirect
    norms = np.linalg.norm(direct), np.linalg.norm(whole)
    names = "played", "best_response", "on_the_grid"
    return {
        "estimator": estimator, "leader": name, "seed": seed, "updates": updates,
        **dict(zip(names, np.mean(ended, axis=0), strict=True)),
        "direct": norms[0], "indirect": np.linalg.norm(found.planned.indirect),
        "whole": norms[1], "cosine_of_direct": direct @ whole / np.prod(norms),
    }  # fmt: skip


if __name__ == "__main__":
    path, shipped = Path(sys.argv[1]), read_params()
    known: list[Any] = [] if not path.exists() else pd.read_csv(path).to_dict("records")
    done = {(each["estimator"], each["leader"], each["seed"]) for each in known}
    todo = [(*own, seed) for seed in SEEDS for own in LEADERS[:3]]
    for run in [*todo, *((*LEADERS[3], seed) for seed in SEEDS)]:
        if run not in done:
            known.append(row(shipped, *run))
            table = pd.DataFrame(known)
            table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
