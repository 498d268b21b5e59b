"""Which estimators are compared with the exact hypergradient of home batteries, and where."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group, per_run
from bilevelrl.core.ladder import Rung
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import Streams
from bilevelrl.core.validation import Content
from bilevelrl.problems.home_battery import cell
from bilevelrl.problems.home_battery.advantages import ExactAdvantage
from bilevelrl.problems.home_battery.covariance import HouseholdCovariance
from bilevelrl.problems.home_battery.estimator_settings import HomeBatterySetting
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.problem import FLAT
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock
from bilevelrl.problems.home_battery.varying_days.cell import make_varying_days, make_varying_game
from bilevelrl.problems.home_battery.varying_days.tariffs import NetworkPrices

#: Replicates of a worker's batch.
TOGETHER = 20
#: Batches that an estimator with a memory sees before the one that counts.
_BATCHES = 10
_REGRESSION: Content = {"critic": {"kind": "regression", "forgetting_factor": 0.9}}
_CENTRED: Content = {
    "model": {"kind": "centred", "forgetting_factor": 0.9, "baseline_forgetting_factor": 0.9}
}
_VARYING: Content = {"day_spread": 0.2}
_NETWORK: Content = {"leader": "network"}


def _exact_advantage(estimator: HouseholdCovariance, game: BatteryGame) -> HouseholdCovariance:
    return replace(estimator, advantage=ExactAdvantage(game.problem))


LADDER = (
    Rung("naive", "corrected", "none"),
    Rung("bc_hg", "published", "sarsa", entry={"critic": {"kind": "sarsa", "step_size": 0.003}},
         warm_up=_BATCHES),
    Rung("bc_hg", "corrected", "exact", "exact advantage", entry=_REGRESSION,
         change=_exact_advantage),
    Rung("bc_hg", "corrected", "regression", entry=_REGRESSION, warm_up=_BATCHES),
    Rung("bc_hg", "improved", "exact", "exact advantage", entry=_CENTRED, change=_exact_advantage,
         warm_up=_BATCHES),
    Rung("bc_hg", "improved", "regression", entry=_CENTRED, warm_up=_BATCHES),
    Rung("bc_hg", "improved", "none", "identified", entry={"model": {"kind": "identified"}}),
    Rung("perturbed", "corrected", "none", "two-sided",
         entry={"epsilon": 0.1, "two_sided": True}),
    Rung("perturbed", "corrected", "none", "two-sided, ε = 0.03",
         entry={"epsilon": 0.03, "two_sided": True}),
    Rung("perturbed", "corrected", "none", "one-sided",
         entry={"epsilon": 0.1, "two_sided": False}),
    Rung("zero_order", "corrected", "none", samples=False),
    Rung("bc_hg", "improved", "regression", "days vary", entry=_CENTRED | _VARYING, warm_up=4),
    Rung("bc_hg", "improved", "none", "days vary, identified",
         entry={"model": {"kind": "identified"}} | _VARYING),
    Rung("exact", "corrected", "none", "days vary", entry=_VARYING, samples=False),
    Rung("bc_hg", "improved", "regression", "days vary, network",
         entry=_CENTRED | _VARYING | _NETWORK, warm_up=4),
)  # fmt: skip


def shared(problem: Problem[HomeBatteryBlock], budget: int) -> Content:
    """What the whole study gives to estimators: which J, and how many transitions."""
    own: Content = {"radius": problem.block.gradients.radius}
    days = budget // problem.block.constants.max_episode_steps // problem.block.training.houses
    return own | ({"days_per_update": days} if budget else {})


def group(
    problem: Problem[HomeBatteryBlock], settings: Sequence[HomeBatterySetting]
) -> Group[HomeBatterySetting, Any]:
    """Replicates that are computed together."""
    constants, followers = problem.block.constants, problem.followers
    if settings[0].day_spread:
        temperature = per_run(settings, "temperature")
        game = make_varying_game(settings, constants, temperature, followers.tolerance)
        return Group(settings, game)
    return Group(settings, cell.make_game(settings, constants, followers))


def asked_at(
    problem: Problem[HomeBatteryBlock], rung: Rung, budget: int, points: dict[str, Floats]
) -> dict[str, Floats]:
    """Where a rung is asked, by name, of `points` (24,), or of θ (D,) of a leader of its own.

    On days that vary this is where the leader starts, at flat prices, with the largest budget.
    """
    spread, block = rung.entry.get("day_spread"), problem.block
    if not spread:
        return points
    houses = block.training.houses
    if rung.samples and budget < max(block.gradients.budgets):
        return {}
    if rung.entry.get("leader") != "network":
        return {"flat, days that vary": np.full(HOURS, FLAT)}
    weight = block.training.tariff_weight
    days = make_varying_days(block.constants, houses, weight, spread)
    streams = Streams([block.gradients.first_seed])
    start = NetworkPrices(days, block.training.network_width).start(1, streams)
    return {"flat, days that vary, network": start[0]}


def points(problem: Problem[HomeBatteryBlock], best_theta: Floats) -> dict[str, Floats]:
    """Tariffs at which to compare estimators, by name: shares of the way to the best known one."""
    flat = FLAT + 0.0 * best_theta
    return {
        "flat" if share == 0.0 else f"{share:g} of the way to the best tariff": flat
        + share * (best_theta - flat)
        for share in problem.block.gradients.best_fractions
    }
