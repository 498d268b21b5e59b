"""How fast agents of Stable-Baselines3 learn the best response to a leader that does not move."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.blocks import LearningParams
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.learning_curve import Learned
from bilevelrl.core.problem import RunTasks
from bilevelrl.models.deep.players import FollowerTask
from bilevelrl.models.deep.settings import ComparedSacParams

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SacTask:
    """One agent at θ = 0.

    Attributes:
        follower_task: the problem.
        temperature: β.
        rule: of the agent.
        seed: its own.
        checkpoints: transitions, increasing.
    """

    follower_task: FollowerTask[Any]
    temperature: float
    rule: ComparedSacParams
    seed: int
    checkpoints: tuple[int, ...]


def learn_sac(task: SacTask) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """Learning curve and trained actor; torch is imported here, because that takes seconds.

    An agent that diverges has a curve of NaN, and says so on stderr.
    """
    from bilevelrl.models.deep.build import learn

    try:
        return learn(
            task.follower_task,
            task.temperature,
            task.rule.model_dump(),
            task.seed,
            task.checkpoints,
        )
    except FollowerDiverged as error:
        print(f"WARNING: SAC with seed {task.seed} has no result: {error}", file=sys.stderr)
        unknown = dict.fromkeys(("value_gap", "relative_gap", "kl"), np.nan)
        return pd.DataFrame({"steps": task.checkpoints, **unknown}), {}


def learn_all(
    follower_task: FollowerTask[Any],
    temperature: float,
    rule: ComparedSacParams,
    own: LearningParams,
    run_tasks: RunTasks,
) -> Learned:
    """SAC of Stable-Baselines3 at θ = 0, the seeds in parallel."""
    tasks = [SacTask(follower_task, temperature, rule, seed, own.steps) for seed in own.seeds]
    done = dict(run_tasks(learn_sac, tasks, description="SAC"))
    curves = [
        done[place][0].assign(seed=task.seed, follower="sac") for place, task in enumerate(tasks)
    ]
    trained = {task.seed: done[place][1] for place, task in enumerate(tasks)}
    policy = {
        f"seed_{seed}_{name}": array
        for seed, actor in trained.items()
        for name, array in actor.items()
    }
    return Learned(pd.concat(curves, ignore_index=True), policy)
