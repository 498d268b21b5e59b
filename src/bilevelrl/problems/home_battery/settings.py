"""What params.yaml says of home batteries: constants, search, studies, settings."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.blocks import LearningParams, SearchBlock, StudyParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.finite_settings import SoftQLearner, SoftQParams
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import (
    PER_RUN,
    Component,
    ExactFollower,
    LearningFollower,
    Setting,
    Share,
)
from bilevelrl.core.validation import (
    Choices,
    ConfigError,
    Content,
    Count,
    Distinct,
    NonNegative,
    Positive,
    UnitInterval,
    Whole,
)

#: Houses whose mean days are known.
KNOWN_HOUSES = 17
Discount = Annotated[float, Field(ge=0.0, lt=1.0)]
Houses = Annotated[int, Field(ge=1, le=KNOWN_HOUSES)]
#: What acts on the houses: 24 prices.
Leader = Literal["prices"]


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
    """What all cells share and an entry may override."""

    leader: Leader
    houses: Houses
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
    """

    houses: Choices[Houses]
    seed: Whole
    random_starts: Whole
    largest_start: Positive
    num_evaluations: Count
    tariff_weights: Distinct[NonNegative]


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


class HomeBatterySetting(Setting):
    """Settings of home batteries.

    Attributes:
        leader: what sets the prices.
        houses: H.
        tariff_weight: λ.
        step_size: of Adam, in $/kWh.
        step_size_ratio: what it falls to in the end, geometrically, as a share of the first one.
    """

    leader: Leader
    houses: Houses
    tariff_weight: NonNegative
    step_size_ratio: UnitInterval

    @property
    def num_answers(self) -> int:
        """Answers of the houses that are watched in an update, and share its days."""
        return 1

    def conditions(self, shared: Content) -> Content:
        """What J is, beside what every setting says."""
        return super().conditions(shared) | {
            "houses": self.houses,
            "leader": self.leader,
            "tariff_weight": self.tariff_weight,
        }


class TruncatedPlanning(Component):
    """Houses that plan so many days backwards and no further.

    Attributes:
        start: what they plan from: "carry" the value of the answer before, or "reset" to nothing.
        days: of each answer.
    """

    kind: Literal["truncated"]
    start: Literal["carry", "reset"]
    days: Annotated[Count, PER_RUN]

    @property
    def conditions(self) -> Content:
        """Which follower, and how far it plans."""
        return {"follower": self.kind, "start": self.start, "days": self.days}

    def cost(self, num_updates: int) -> int:
        """Effort of a run."""
        return num_updates * 100 * self.days


class SampledSetting(HomeBatterySetting):
    """Of estimators that watch days.

    What a house pays is known from its meter: `actions` is all that is seen of it.

    Attributes:
        days_per_update: sequences of `max_episode_steps` hours that are watched of every house.
        follower: houses that plan to the end, or not so far, or learn.
    """

    days_per_update: Count
    follower: Annotated[
        ExactFollower | TruncatedPlanning | SoftQLearner, Field(discriminator="kind")
    ] = ExactFollower()

    def conditions(self, shared: Content) -> Content:
        """How many days, and that nothing else is seen."""
        return super().conditions(shared) | {
            "information": "actions",
            "days_per_update": self.days_per_update,
        }


class SarsaParams(Component):
    """The released code's critic, a table that learns by SARSA.

    Attributes:
        step_size: α.
    """

    kind: Literal["sarsa"]
    step_size: Annotated[UnitInterval, PER_RUN]


class PublishedSetting(SampledSetting):
    """Of BC-HG with a table.

    Attributes:
        critic: of the leader.
        information: "full" reads the houses' policies, "actions" takes frequencies in their place.
        smoothing: share of uniform actions in frequencies.
    """

    critic: SarsaParams
    information: Literal["full", "actions"] = "full"
    smoothing: Share = 0.0

    def conditions(self, shared: Content) -> Content:
        """What the leader sees."""
        return super().conditions(shared) | {"information": self.information}


class RegressionParams(Component):
    """A value that is regressed on the charge, hour by hour, see `regressed`.

    Attributes:
        forgetting_factor: weight of all earlier batches against the newest.
    """

    kind: Literal["regression"]
    forgetting_factor: Share


class RegressedSetting(SampledSetting):
    """Of BC-HG with a regressed value."""

    critic: RegressionParams


class CentredParams(Component):
    """The doubly centred covariance: a regressed value, and what the houses do is centred too.

    Attributes:
        forgetting_factor: of the regression, as of `RegressionParams`.
        baseline_forgetting_factor: of what centres the houses' side, see `HourlyBaseline`.
    """

    kind: Literal["centred"]
    forgetting_factor: Share
    baseline_forgetting_factor: Share


class IdentifiedHousesParams(Component):
    """Houses that the leader identifies, see `identified`."""

    kind: Literal["identified"]

    @property
    def conditions(self) -> Content:
        """That the leader plans in what it identified."""
        return {"model": self.kind}


class ImprovedSetting(SampledSetting):
    """Of the improved BC-HG: doubly centred, or in houses that it identifies."""

    model: Annotated[CentredParams | IdentifiedHousesParams, Field(discriminator="kind")]


class PerturbedSetting(SampledSetting):
    """Of the perturbed follower; its answers share the days of an update.

    Attributes:
        epsilon: share of the leader's reward that houses are paid.
        two_sided: whether they are also charged that share.
    """

    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool

    @property
    def num_answers(self) -> int:
        """With pay and charged, or with pay and without."""
        return 2


class HomeBatteryZeroOrderSetting(HomeBatterySetting):
    """Of the zero-order estimator.

    Attributes:
        radius: distance of two evaluations of J at the first update, in $/kWh.
    """

    radius: Annotated[Positive, PER_RUN]


class HomeBatteryBlackBoxSetting(HomeBatterySetting):
    """Of CMA-ES.

    Attributes:
        spread: standard deviation of the first population, in $/kWh.
        population_size: evaluations of J per update.
        step_size: of no use: nothing steps along a gradient.
    """

    spread: Annotated[Positive, PER_RUN]
    population_size: Annotated[Count, Field(ge=3)]
    step_size: Annotated[Positive, PER_RUN] = 1.0


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
    ("exact", "corrected"): Registered(HomeBatterySetting, "core.model_based:exact"),
}


class HouseholdLearnerParams(SoftQParams):
    """Soft Q-learning of houses, see `learner`.

    Attributes:
        pull: share of the value at midnight that is taken off every reward.
    """

    pull: NonNegative


class HomeBatteryBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: HomeBatteryParams
    search: HomeBatterySearchParams
    learner: HouseholdLearnerParams
    learning: LearningParams
    training: HomeBatteryLeaders
    gradients: HomeBatteryGradientParams

    def check(self, setting: Setting, where: str) -> None:
        """Refuse days that answers cannot share, and numbers of houses that nobody searched for.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        assert isinstance(setting, HomeBatterySetting)
        if setting.houses not in self.search.houses:
            raise ConfigError(
                f"{where}: houses = {setting.houses}: search.houses has {list(self.search.houses)}"
            )
        days: int = getattr(setting, "days_per_update", 0)
        if days % setting.num_answers:
            raise ConfigError(
                f"{where}: days_per_update = {days} must be a multiple of {setting.num_answers}, "
                "as many answers as share them"
            )
        follower = getattr(setting, "follower", None)
        if isinstance(follower, LearningFollower) and isinstance(setting, PerturbedSetting):
            raise ConfigError(f"{where}: follower = soft_q does not go with perturbed")


BLOCK = HomeBatteryBlock
