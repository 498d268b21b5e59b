"""What params.yaml says of home batteries: constants, search, studies, which estimators."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.blocks import LearningParams, Replicates, SearchBlock, StudyParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import ExactFollower, LearningFollower, Setting
from bilevelrl.core.validation import (
    Choices,
    ConfigError,
    Count,
    Distinct,
    NonNegative,
    Positive,
    UnitInterval,
    Whole,
)
from bilevelrl.problems.home_battery.estimator_settings import (
    DaySpread,
    HomeBatteryAscentSetting,
    HomeBatteryBlackBoxSetting,
    HomeBatterySetting,
    HomeBatteryZeroOrderSetting,
    Houses,
    ImprovedSetting,
    Leader,
    PerturbedSetting,
    PublishedSetting,
    RegressedSetting,
    SampledSetting,
)
from bilevelrl.problems.home_battery.sac_settings import HouseholdSacParams

Discount = Annotated[float, Field(ge=0.0, lt=1.0)]


class HomeBatteryParams(Constants):
    """Constants of home batteries, see `problems.home_battery.problem.HomeBattery`.

    Attributes:
        max_episode_steps: hours that a leader watches: a first day, which J is made of, and the day
            that closes it, see `rollout.DayRollout`.
        noise: standard deviation of the hourly factors of load and solar energy.
    """

    max_episode_steps: Literal[48]
    capacity: Positive
    power: Positive
    efficiency: UnitInterval
    solar_power: NonNegative
    noise: Annotated[float, Field(ge=0.0, le=0.57)]
    peak_weight: Positive
    target: Annotated[float, Field(ge=0.0, le=1.0)]
    leader_discount: Discount
    follower_discount: Discount
    num_charges: Annotated[Count, Field(ge=2)]
    num_actions: Annotated[Count, Field(ge=3)]


class HomeBatteryLeaders(TrainingBlock):
    """What all cells share and an entry may override.

    Attributes:
        error_replicates: estimates at every recorded update that tell the parts of an error where
            houses do not play their best response, see `error_split`.
    """

    error_replicates: Replicates
    leader: Leader
    network_width: Count
    houses: Houses
    day_spread: DaySpread
    tariff_weight: NonNegative
    temperature: Positive
    days_per_update: Count
    step_size_ratio: UnitInterval


class HomeBatterySearchParams(SearchBlock):
    """Search by L-BFGS within bounds, from the flat tariff and from random ones.

    Attributes:
        houses: for which numbers of houses.
        seed: of the random tariffs.
        random_starts: how many; prices are uniform up to `largest_start` $/kWh.
        num_evaluations: of J and its hypergradient from one start, at most.
        tariff_weights: λ of further tariffs, for as many houses as the main comparison has.
        day_spreads: of days that vary as a whole, beside those that are drawn alike.
        varying_houses: for which numbers of houses, on such days.
    """

    houses: Choices[Houses]
    seed: Whole
    random_starts: Whole
    largest_start: Positive
    num_evaluations: Count
    tariff_weights: Distinct[NonNegative]
    day_spreads: Distinct[Annotated[DaySpread, Field(gt=0.0)]]
    varying_houses: Choices[Houses]


class HomeBatteryGradientParams(StudyParams):
    """The estimator-error study, from how many transitions.

    Attributes:
        best_fractions: shares of the way from the flat to the best known tariff: where.
        budgets: transitions, whole sequences of days of two answers.
        radius: of the zero-order estimator, in $/kWh.
    """

    best_fractions: Choices[float]
    budgets: Choices[Count]
    radius: Positive

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


ESTIMATORS: Estimators = {
    ("bc_hg", "published"): Registered(PublishedSetting, "cell:published_bc_hg"),
    ("bc_hg", "corrected"): Registered(RegressedSetting, "cell:bc_hg"),
    ("bc_hg", "improved"): Registered(ImprovedSetting, "cell:improved_bc_hg"),
    ("naive", "corrected"): Registered(SampledSetting, "cell:naive"),
    ("perturbed", "corrected"): Registered(PerturbedSetting, "cell:perturbed"),
    ("zero_order", "corrected"): Registered(
        HomeBatteryZeroOrderSetting, "core.model_based:zero_order"
    ),
    ("cma_es", "corrected"): Registered(HomeBatteryBlackBoxSetting, "black_box:cma_es"),
    ("exact", "corrected"): Registered(HomeBatteryAscentSetting, "core.model_based:exact"),
}
#: Settings of estimators that go with days that vary as a whole.
VARYING = (HomeBatteryAscentSetting, HomeBatteryZeroOrderSetting, ImprovedSetting)


class HouseholdLearnerParams(SoftQParams):
    """Soft Q-learning of houses, see `learner`.

    Attributes:
        pull: share of the value at midnight that is taken off every reward.
        sac: of houses that are soft actor-critics instead, see `sac_agent`.
    """

    pull: NonNegative
    sac: HouseholdSacParams


class HouseholdLearningParams(LearningParams):
    """Houses that learn by soft Q-learning at the flat tariff, and others by soft actor-critic.

    Attributes:
        sac: of soft actor-critics, which take a hundred times as long.
    """

    sac: LearningParams


class HomeBatteryBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: HomeBatteryParams
    search: HomeBatterySearchParams
    learner: HouseholdLearnerParams
    learning: HouseholdLearningParams
    training: HomeBatteryLeaders
    gradients: HomeBatteryGradientParams

    def check(self, setting: Setting, where: str) -> None:
        """Refuse days that answers cannot share, and numbers of houses that nobody searched for.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        assert isinstance(setting, HomeBatterySetting)
        name = "varying_houses" if setting.day_spread else "houses"
        searched = list(getattr(self.search, name))
        if setting.houses not in searched:
            raise ConfigError(f"{where}: houses = {setting.houses}: search.{name} has {searched}")
        self._check_days(setting, where)
        days: int = getattr(setting, "days_per_update", 0)
        if days % setting.num_answers:
            raise ConfigError(
                f"{where}: days_per_update = {days} must be a multiple of {setting.num_answers}, "
                "as many answers as share them"
            )
        follower = getattr(setting, "follower", None)
        if isinstance(follower, LearningFollower) and isinstance(setting, PerturbedSetting):
            raise ConfigError(f"{where}: follower = {follower.kind} does not go with perturbed")

    def _check_days(self, setting: HomeBatterySetting, where: str) -> None:
        spread, known = setting.day_spread, list(self.search.day_spreads)
        if not spread:
            if setting.leader == "network":
                raise ConfigError(
                    f"{where}: leader = network needs day_spread above 0: on days that are drawn "
                    "alike there is no forecast"
                )
            return
        if spread not in known:
            raise ConfigError(f"{where}: day_spread = {spread}: search.day_spreads has {known}")
        follower = getattr(setting, "follower", ExactFollower())
        if type(setting) not in VARYING or not isinstance(follower, ExactFollower):
            raise ConfigError(
                f"{where}: day_spread = {spread} goes with exact, zero_order and the improved "
                "bc_hg, with houses that plan exactly"
            )


BLOCK = HomeBatteryBlock
