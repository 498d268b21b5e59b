"""How fast agents of Stable-Baselines3 learn the best response to a leader that does not move."""

import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import LearningParams
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.learning_curve import Learned
from bilevelrl.core.observations import Observations
from bilevelrl.core.problem import RunTasks
from bilevelrl.models.deep.players import FollowerTask, evaluate
from bilevelrl.models.deep.settings import ComparedSacParams

Actor = dict[str, NDArray[np.float32]]
#: Of `players.Evaluation`.
_MEASURED = ("value_gap", "relative_gap", "kl")


@dataclass(frozen=True)
class SacTask:
    """One agent.

    Attributes:
        follower_task: the problem.
        theta: the leader, shape (D,).
        temperature: β.
        rule: of the agent.
        seed: its own.
        checkpoints: transitions, increasing.
    """

    follower_task: FollowerTask[Observations]
    theta: Floats
    temperature: float
    rule: ComparedSacParams
    seed: int
    checkpoints: tuple[int, ...]


def learn_sac(task: SacTask) -> tuple[pd.DataFrame, Actor]:
    """Columns steps, value_gap, relative_gap and kl, one row a checkpoint; and the trained actor.

    An agent that diverges has a curve of NaN, and says so on stderr.
    """
    # Here, because importing torch takes seconds.
    from bilevelrl.models.deep.agent import SacAgent

    follower_task, theta, rule = task.follower_task, task.theta, task.rule
    agent = SacAgent(
        lambda: follower_task.view(theta, rule),
        temperature=task.temperature,
        discount=follower_task.follower_discount,
        options=rule,
        seed=task.seed,
    )
    rows = []
    try:
        for steps in task.checkpoints:
            agent.learn(steps - agent.steps)
            found = evaluate(follower_task, theta, task.temperature, agent, rule.episodes)
            rows.append({"steps": steps, **{name: getattr(found, name) for name in _MEASURED}})
    except FollowerDiverged as error:
        print(f"WARNING: SAC with seed {task.seed} has no result: {error}", file=sys.stderr)
        unknown = dict.fromkeys(_MEASURED, np.nan)
        return pd.DataFrame({"steps": task.checkpoints, **unknown}), {}
    return pd.DataFrame(rows), agent.policy()


def learn_all(
    follower_task: FollowerTask[Observations],
    theta: Floats,
    temperature: float,
    rule: ComparedSacParams,
    own: LearningParams,
    run_tasks: RunTasks,
) -> Learned:
    """SAC of Stable-Baselines3 against θ, shape (D,), the seeds in parallel."""
    tasks = [
        SacTask(follower_task, theta, temperature, rule, seed, own.steps) for seed in own.seeds
    ]
    done = dict(run_tasks(learn_sac, tasks, description="SAC"))
    curves = [
        done[place][0].assign(seed=task.seed, follower="sac") for place, task in enumerate(tasks)
    ]
    policy = {
        f"seed_{task.seed}_{name}": array
        for place, task in enumerate(tasks)
        for name, array in done[place][1].items()
    }
    return Learned(pd.concat(curves, ignore_index=True), policy)
