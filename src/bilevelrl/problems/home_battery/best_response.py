"""The best response of the houses to the flat tariff, and how fast houses learn it."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import soft_bonus
from bilevelrl.core.learning_curve import Learned, Solved, TabularLearner, follow
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.cell import (
    exact_planner,
    learning_household,
    make_problem,
)
from bilevelrl.problems.home_battery.exact import mean_day, start_value
from bilevelrl.problems.home_battery.planner import HouseholdResponse, TruncatedPlanner
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock

#: Days of the houses that do not plan to the end.
_PLANNED_DAYS = (1, 2, 4, 8)


def _houses(problem: Problem[HomeBatteryBlock]) -> HomeBattery:
    shared = problem.block.training
    return make_problem(problem.block.constants, shared.houses, shared.tariff_weight)


def _flat_reward(battery: HomeBattery, runs: int) -> Floats:
    return battery.follower_reward(np.full((runs, HOURS), FLAT))


def solve(problem: Problem[HomeBatteryBlock], variant: str, temperature: float) -> Solved:
    """The soft dynamic program; variants do not differ in it.

    The value where episodes start is that of an empty battery at midnight, in $, a mean over the
    houses; the convergence is that of houses that plan so many days and no further.
    """
    del variant
    battery, beta = _houses(problem), np.array([temperature])
    planner = exact_planner(battery, beta, problem.followers)
    reward = _flat_reward(battery, 1)
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
        kl = float(_divergence(battery, early.policy, answer.policy)[0])
        rows.append(("values", days, accuracy, max(kl, 0.0)))  # rounding can leave -1e-18
    convergence = pd.DataFrame(rows, columns=["solver", "iteration", "accuracy", "kl"])
    arrays = {"policy": answer.policy[0], "value": answer.value[0]}
    return Solved(arrays, found, convergence)


def learn(problem: Problem[HomeBatteryBlock], temperature: float, run_tasks: RunTasks) -> Learned:
    """Soft Q-learning under the flat tariff, in the process that the best response plans in."""
    del run_tasks
    own, rule = problem.block.learning, problem.block.learner
    battery, runs = _houses(problem), own.num_seeds
    beta, reward = np.full(runs, temperature), _flat_reward(battery, runs)
    best = exact_planner(battery, beta, problem.followers)
    optimal = best.respond(reward, best.start(runs)).policy
    settled = rule.model_copy(update={"smallest_step": 0.0})

    def soft_return(policy: Floats) -> Floats:
        soft = reward + soft_bonus(policy, np.array(temperature))
        mean: Floats = start_value(battery, policy, soft).mean(axis=1)
        return mean

    def after(steps: int, memory: Floats, streams: Streams) -> HouseholdResponse:
        household = learning_household(battery, beta, settled, (steps, steps))
        return household.respond(reward, memory, streams)

    memory = learning_household(battery, beta, settled, (1, 1)).start(runs)
    learner = TabularLearner(
        after, soft_return, lambda policy: _divergence(battery, policy, optimal), optimal
    )
    return follow(learner, memory, own.seeds, own.steps)


def _divergence(battery: HomeBattery, policy: Floats, best: Floats) -> Floats:
    # KL(policy || best), a mean over houses, hours and charges that the best response meets, (R,).
    played, expected = (np.log(np.where(policy > 0.0, table, 1.0)) for table in (policy, best))
    divergence = (policy * (played - expected)).sum(axis=4)
    met = mean_day(battery, best).occupancy
    mean: Floats = (divergence * met).sum(axis=3).mean(axis=(1, 2))
    return mean
