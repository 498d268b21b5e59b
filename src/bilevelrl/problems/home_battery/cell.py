"""Home batteries: from settings to the houses and the estimator that a name stands for."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, per_run
from bilevelrl.core.settings import LearningFollower
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.core.training import recorded_updates
from bilevelrl.core.validation import refusing
from bilevelrl.problems.home_battery.advantages import SarsaAdvantage
from bilevelrl.problems.home_battery.covariance import (
    DirectOnly,
    HourlyBaseline,
    HouseholdCovariance,
)
from bilevelrl.problems.home_battery.error_split import SplitEstimator
from bilevelrl.problems.home_battery.estimator_settings import (
    HomeBatterySetting,
    IdentifiedHousesParams,
    ImprovedSetting,
    PerturbedSetting,
    PublishedSetting,
    RegressedSetting,
    SampledSetting,
    TruncatedPlanning,
)
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.identification import HouseholdIdentification
from bilevelrl.problems.home_battery.identified import IdentifiedHousehold
from bilevelrl.problems.home_battery.learner import LearningHousehold
from bilevelrl.problems.home_battery.perturbed import PerturbedHousehold, SampledMeter
from bilevelrl.problems.home_battery.planner import ExactPlanner, Household, TruncatedPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.regressed import RegressedAdvantage
from bilevelrl.problems.home_battery.rollout import DayRollout
from bilevelrl.problems.home_battery.sac_household import SacHousehold
from bilevelrl.problems.home_battery.sac_settings import SacHouses
from bilevelrl.problems.home_battery.settings import (
    HomeBatteryLeaders,
    HomeBatteryParams,
    HouseholdLearnerParams,
)
from bilevelrl.problems.home_battery.varying_days.cell import (
    ascent_rule,
    make_varying_game,
    varying_bc_hg,
)

Own_co = TypeVar("Own_co", bound=HomeBatterySetting, covariant=True)
Runs = Group[Own_co, BatteryGame]
Followers = FollowerParams[HouseholdLearnerParams]


def make_problem(constants: HomeBatteryParams, houses: int, tariff_weight: float) -> HomeBattery:
    """The problem with the constants of params.yaml."""
    numbers = constants.model_dump(exclude={"max_episode_steps"})
    with refusing("params.yaml: problems.home_battery.constants"):
        return HomeBattery.of_houses(houses, tariff_weight=tariff_weight, **numbers)


def exact_planner(problem: HomeBattery, temperature: Floats, followers: Followers) -> ExactPlanner:
    """Houses that plan as far as params.yaml says, β of each run, shape (R,)."""
    return ExactPlanner(problem, temperature, followers.tolerance)


def learning_household(
    problem: HomeBattery, temperature: Floats, rule: HouseholdLearnerParams, steps: tuple[int, int],
    start: Literal["carry", "reset"] = "carry",
) -> LearningHousehold:  # fmt: skip
    """Houses that learn so many hours before the first, and before each later answer."""
    options = SoftQOptions(**rule.model_dump(exclude={"pull", "sac"}))
    first, later = steps
    return LearningHousehold(problem, temperature, first, later, options, rule.pull, start)


def _household(
    settings: Sequence[HomeBatterySetting], exact: ExactPlanner, followers: Followers
) -> Household:
    shared = getattr(settings[0], "follower", None)
    if isinstance(shared, TruncatedPlanning):
        days = per_run(settings, "follower.days").astype(np.int64)
        return TruncatedPlanner(exact.problem, exact.temperature, days, shared.start)
    if isinstance(shared, SacHouses):
        first = shared.first_steps or shared.steps
        return SacHousehold(
            exact.problem, exact.temperature, first, shared.steps, followers.learner.sac,
            shared.limits,
        )  # fmt: skip
    if isinstance(shared, LearningFollower):
        steps = (shared.first_steps or shared.steps, shared.steps)
        return learning_household(
            exact.problem, exact.temperature, followers.learner, steps, shared.start
        )
    return exact


def make_game(
    settings: Sequence[HomeBatterySetting], constants: HomeBatteryParams, followers: Followers
) -> BatteryGame:
    """Houses of runs that can share a batch; they start at the flat tariff."""
    shared, temperature = settings[0], per_run(settings, "temperature")
    problem = make_problem(constants, shared.houses, shared.tariff_weight)
    exact = exact_planner(problem, temperature, followers)
    household = _household(settings, exact, followers)
    return BatteryGame(problem, household, exact, np.zeros(len(settings)))


def build(
    make: Callable[[Runs[Any]], Any],
    settings: Sequence[HomeBatterySetting],
    context: Context[HomeBatteryParams, HouseholdLearnerParams, HomeBatteryLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    if settings[0].day_spread:
        game: Any = make_varying_game(
            settings, context.constants, per_run(settings, "temperature"),
            context.followers.tolerance,
        )  # fmt: skip
        return Training(game, make(Group(settings, game)), ascent_rule(settings))
    game = make_game(settings, context.constants, context.followers)
    estimator = make(Group(settings, game))
    if game.follower is not game.exact:
        interval = recorded_updates(settings[0].num_updates, context.training.max_rows).step
        estimator = SplitEstimator(estimator, game, context.training.error_replicates, interval)
    return Training(game, estimator, ascent_rule(settings))


def _days(g: Runs[SampledSetting]) -> DayRollout:
    return DayRollout(g.game.problem, g.shared.days_per_update // g.shared.num_answers)


def published_bc_hg(g: Runs[PublishedSetting]) -> HouseholdCovariance:
    """BC-HG with a table that learns by SARSA."""
    step_size = per_run(g.settings, "critic.step_size")
    table = SarsaAdvantage(g.game.problem, step_size, g.shared.information, g.shared.smoothing)
    return HouseholdCovariance(_days(g), table, g.temperature)


def bc_hg(g: Runs[RegressedSetting]) -> HouseholdCovariance:
    """BC-HG with a regressed value."""
    forgetting = g.shared.critic.forgetting_factor
    advantage = RegressedAdvantage(g.game.problem, forgetting_factor=forgetting)
    return HouseholdCovariance(_days(g), advantage, g.temperature)


def improved_bc_hg(g: Runs[ImprovedSetting]) -> Any:
    """The doubly centred BC-HG, or the hypergradient in houses that the leader identified."""
    if g.shared.day_spread:
        return varying_bc_hg(g)
    own, problem = g.shared.model, g.game.problem
    if isinstance(own, IdentifiedHousesParams):
        return IdentifiedHousehold(_days(g), HouseholdIdentification(problem), g.temperature)
    advantage = RegressedAdvantage(problem, forgetting_factor=own.forgetting_factor)
    baseline = HourlyBaseline(forgetting_factor=own.baseline_forgetting_factor)
    return HouseholdCovariance(_days(g), advantage, g.temperature, baseline)


def naive(g: Runs[SampledSetting]) -> DirectOnly:
    """The direct part alone."""
    return DirectOnly(_days(g))


def perturbed(g: Runs[PerturbedSetting]) -> PerturbedHousehold:
    """How much is bought if houses are paid a little of what the leader wants."""
    return PerturbedHousehold(
        SampledMeter(_days(g)), g.game.follower, per_run(g.settings, "epsilon"), g.shared.two_sided
    )
