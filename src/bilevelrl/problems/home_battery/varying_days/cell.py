"""Days that vary: from settings to the houses, the tariff and the estimator."""

from collections.abc import Sequence
from typing import Any

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, AscentRule, Chosen, geometric_decay
from bilevelrl.core.cell import Group, per_run
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.core.validation import refusing
from bilevelrl.problems.home_battery.estimator_settings import (
    HomeBatteryAscentSetting,
    HomeBatterySetting,
    IdentifiedHousesParams,
    ImprovedSetting,
)
from bilevelrl.problems.home_battery.profiles import mean_days
from bilevelrl.problems.home_battery.settings import HomeBatteryParams
from bilevelrl.problems.home_battery.varying_days.centred import CentredForecast
from bilevelrl.problems.home_battery.varying_days.day_types import day_types
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.identification import ForecastIdentification
from bilevelrl.problems.home_battery.varying_days.identified import IdentifiedForecast
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays, varying_days
from bilevelrl.problems.home_battery.varying_days.rollout import VaryingRollout
from bilevelrl.problems.home_battery.varying_days.tariffs import (
    NetworkPrices,
    SamePrices,
    Tariff,
)


def make_varying_days(
    constants: HomeBatteryParams, houses: int, tariff_weight: float, spread: float
) -> VaryingDays:
    """The houses with the constants of params.yaml, on days of that spread."""
    numbers = constants.model_dump(exclude={"max_episode_steps"})
    with refusing("params.yaml: problems.home_battery.constants"):
        return varying_days(
            mean_days(houses), day_types(spread), tariff_weight=tariff_weight, **numbers
        )


def make_varying_game(
    settings: Sequence[HomeBatterySetting],
    constants: HomeBatteryParams,
    temperature: Floats,
    tolerance: float,
) -> VaryingGame:
    """Houses of runs that can share a batch, and what sets their prices."""
    shared = settings[0]
    problem = make_varying_days(constants, shared.houses, shared.tariff_weight, shared.day_spread)
    tariff: Tariff = SamePrices(problem.types.number)
    if shared.leader == "network":
        tariff = NetworkPrices(problem, shared.network_width)
    return VaryingGame(tariff, VaryingPlanner(problem, temperature, tolerance))


def ascent_rule(settings: Sequence[HomeBatterySetting]) -> AscentRule:
    """Adam with a falling step, if steps are taken; prices that are θ stay within [0, 1]."""
    shared = settings[0]
    if not isinstance(shared, HomeBatteryAscentSetting):
        return Chosen()
    decay = geometric_decay(shared.step_size_ratio, shared.num_updates)
    adam = Adam(per_run(settings, "step_size"), decay=decay)
    return adam if shared.leader == "network" else Projected(adam, 0.0, 1.0)


def varying_bc_hg(
    group: Group[ImprovedSetting, Any],
) -> IdentifiedForecast | CentredForecast:
    """The doubly centred BC-HG, or the hypergradient in houses that the leader identified."""
    game: VaryingGame = group.game
    own, rollout = group.shared.model, VaryingRollout(game.problem, group.shared.days_per_update)
    if isinstance(own, IdentifiedHousesParams):
        known = ForecastIdentification(game.problem)
        return IdentifiedForecast(rollout, game.tariff, known, group.temperature)
    return CentredForecast(
        rollout,
        game.tariff,
        group.temperature,
        own.forgetting_factor,
        own.baseline_forgetting_factor,
    )
