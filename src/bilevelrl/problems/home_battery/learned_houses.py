"""How fast houses learn the best response to the flat tariff, one house per task and seed."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import LearningParams
from bilevelrl.core.follower import FollowerDiverged, soft_bonus
from bilevelrl.core.learning_curve import Learned, TabularLearner, follow
from bilevelrl.core.problem import RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import mean_day, start_value
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.sac_household import SacHousehold
from bilevelrl.problems.home_battery.sac_settings import HouseholdSacParams

#: What is measured of a house, beside its seed and its hours.
_MEASURED = ("value_gap", "relative_gap", "kl")


def flat_reward(battery: HomeBattery, runs: int) -> Floats:
    """r_F at the flat tariff in $, shape (R, H, 24, C, A)."""
    return battery.follower_reward(np.full((runs, HOURS), FLAT))


def divergence(battery: HomeBattery, policy: Floats, best: Floats) -> Floats:
    """KL(policy || best), shape (R,), of policies (R, H, 24, C, A).

    A mean over houses, hours, and the charges that the best response meets.
    """
    played, expected = (np.log(np.where(policy > 0.0, table, 1.0)) for table in (policy, best))
    each = (policy * (played - expected)).sum(axis=4)
    met = mean_day(battery, best).occupancy
    mean: Floats = (each * met).sum(axis=3).mean(axis=(1, 2))
    return mean


def learner(
    best: ExactPlanner, learn: Callable[[int, Floats, Streams], HouseholdResponse]
) -> TabularLearner:
    """Houses that learn under the flat tariff; what they lose counts from an empty battery."""
    battery, beta = best.problem, best.temperature
    reward = flat_reward(battery, len(beta))

    def soft_return(policy: Floats) -> Floats:
        soft = reward + soft_bonus(policy, beta[:, None, None, None, None])
        mean: Floats = start_value(battery, policy, soft).mean(axis=1)
        return mean

    optimal = best.respond(reward, best.start(len(beta))).policy
    return TabularLearner(
        learn, soft_return, lambda policy: divergence(battery, policy, optimal), optimal
    )


@dataclass(frozen=True)
class SacTask:
    """Soft actor-critics of one seed.

    Attributes:
        best: the houses that plan, β of shape (1,).
        rule: of the agents.
        seed: their own.
        checkpoints: hours, increasing.
    """

    best: ExactPlanner
    rule: HouseholdSacParams
    seed: int
    checkpoints: tuple[int, ...]


def learn_sac(task: SacTask) -> tuple[pd.DataFrame, Floats | None]:
    """Columns of `Learned.curves`, a row a checkpoint; and what is played in the end.

    Houses that diverge have a curve of NaN, and say so on stderr.
    """
    battery, beta = task.best.problem, task.best.temperature
    reward, streams = flat_reward(battery, 1), Streams([task.seed])
    agents = SacHousehold(battery, beta, 1, 1, task.rule, "cut").start(1, streams)

    def after(steps: int, memory: Floats, streams: Streams) -> HouseholdResponse:
        del memory  # the agents are theirs
        household = SacHousehold(battery, beta, steps, steps, task.rule, "cut")
        return household.respond(reward, agents, streams)

    try:
        found = follow(learner(task.best, after), np.zeros(1), [task.seed], task.checkpoints)
    except FollowerDiverged as error:
        print(f"WARNING: SAC with seed {task.seed} has no result: {error}", file=sys.stderr)
        unknown = dict.fromkeys(_MEASURED, np.nan)
        lost = {"seed": task.seed, "steps": task.checkpoints, **unknown, "follower": "sac"}
        return pd.DataFrame(lost), None
    policy: Floats = np.asarray(found.policy["policy"])
    return found.curves.assign(follower="sac"), policy[0]


def learn_sac_all(
    best: ExactPlanner, rule: HouseholdSacParams, own: LearningParams, run_tasks: RunTasks
) -> Learned:
    """Soft actor-critics with actions that are cut to what is possible, the seeds in parallel."""
    tasks = [SacTask(best, rule, seed, own.steps) for seed in own.seeds]
    done = dict(run_tasks(learn_sac, tasks, description="SAC"))
    ordered = [done[place] for place in range(len(tasks))]
    return Learned(
        pd.concat([curve for curve, _ in ordered], ignore_index=True),
        dict(_named(tasks, [policy for _, policy in ordered])),
    )


def _named(tasks: list[SacTask], policies: list[Floats | None]) -> Iterator[tuple[str, Floats]]:
    for task, policy in zip(tasks, policies, strict=True):
        if policy is not None:
            yield f"sac_seed_{task.seed}", policy
