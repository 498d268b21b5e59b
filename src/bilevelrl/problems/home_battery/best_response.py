"""The best response of the houses to the flat tariff, and how fast houses learn it."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.learning_curve import Learned, Solved, follow
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.cell import (
    exact_planner,
    learning_household,
    make_problem,
)
from bilevelrl.problems.home_battery.learned_houses import (
    divergence,
    flat_reward,
    learn_sac_all,
    learner,
)
from bilevelrl.problems.home_battery.planner import HouseholdResponse, TruncatedPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock

#: Days of the houses that do not plan to the end.
_PLANNED_DAYS = (1, 2, 4, 8)


def _houses(problem: Problem[HomeBatteryBlock]) -> HomeBattery:
    shared = problem.block.training
    return make_problem(problem.block.constants, shared.houses, shared.tariff_weight)


def solve(problem: Problem[HomeBatteryBlock], variant: str, temperature: float) -> Solved:
    """The soft dynamic program; variants do not differ in it.

    The value where episodes start is that of an empty battery at midnight, in $, a mean over the
    houses; the convergence is that of houses that plan so many days and no further.
    """
    del variant
    battery, beta = _houses(problem), np.array([temperature])
    planner = exact_planner(battery, beta, problem.followers)
    reward = flat_reward(battery, 1)
    answer = planner.respond(reward, planner.start(1))
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.days.max()),
        "start_value": float(answer.value[0, :, 0, 0].mean()),
    }
    rows = [("relative_values", int(answer.days.max()), found["accuracy"], 0.0)]
    for days in _PLANNED_DAYS:
        near = TruncatedPlanner(battery, beta, np.array([days]))
        early = near.respond(reward, near.start(1))
        accuracy = float(early.accuracy[0])
        kl = float(divergence(battery, early.policy, answer.policy)[0])
        rows.append(("values", days, accuracy, max(kl, 0.0)))  # rounding can leave -1e-18
    convergence = pd.DataFrame(rows, columns=["solver", "iteration", "accuracy", "kl"])
    arrays = {"policy": answer.policy[0], "value": answer.value[0]}
    return Solved(arrays, found, convergence)


def learn(problem: Problem[HomeBatteryBlock], temperature: float, run_tasks: RunTasks) -> Learned:
    """Soft Q-learning under the flat tariff, in this process, and soft actor-critic."""
    own, rule = problem.block.learning, problem.block.learner
    battery, runs = _houses(problem), own.num_seeds
    beta, reward = np.full(runs, temperature), flat_reward(battery, runs)
    settled = rule.model_copy(update={"smallest_step": 0.0})

    def after(steps: int, memory: Floats, streams: Streams) -> HouseholdResponse:
        household = learning_household(battery, beta, settled, (steps, steps))
        return household.respond(reward, memory, streams)

    best = exact_planner(battery, beta, problem.followers)
    memory = learning_household(battery, beta, settled, (1, 1)).start(runs)
    tabular = follow(learner(best, after), memory, own.seeds, own.steps)
    alone = exact_planner(battery, beta[:1], problem.followers)
    deep = learn_sac_all(alone, rule.sac, own.sac, run_tasks)
    curves = pd.concat([tabular.curves, deep.curves], ignore_index=True)
    return Learned(curves, {**tabular.policy, **deep.policy})
