"""Settings of estimators of home batteries: which hyper-parameters each has."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bilevelrl.core.finite_settings import SoftQLearner
from bilevelrl.core.settings import (
    PER_RUN,
    AscentSetting,
    Component,
    ExactFollower,
    Role,
    Setting,
    Share,
)
from bilevelrl.core.validation import Content, Count, NonNegative, Positive, UnitInterval
from bilevelrl.problems.home_battery.sac_settings import SacHouses

#: Houses whose mean days are known.
KNOWN_HOUSES = 17
Houses = Annotated[int, Field(ge=1, le=KNOWN_HOUSES)]
#: What acts on the houses: 24 prices, or a network that reads the forecast of the day.
Leader = Literal["prices", "network"]
#: Standard deviation of the factors of a day; 0 where all days are drawn alike.
DaySpread = Annotated[float, Field(ge=0.0, le=0.57)]


class HomeBatterySetting(Setting):
    """Settings of home batteries.

    Attributes:
        leader: what sets the prices.
        network_width: of a network's hidden layers.
        houses: H.
        day_spread: standard deviation of a day's factors of load and of sunshine.
        tariff_weight: λ.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "houses": "case",
        "tariff_weight": "case",
        "day_spread": "case",
        "leader": "main",
        "days_per_update": "budget",
    }

    leader: Leader
    network_width: Count = 32
    houses: Houses
    day_spread: DaySpread = 0.0
    tariff_weight: NonNegative

    @property
    def num_answers(self) -> int:
        """Answers of the houses that are watched in an update, and share its days."""
        return 1

    def conditions(self, shared: Content) -> Content:
        """What J is, beside what every setting says."""
        varying = {"day_spread": self.day_spread} if self.day_spread else {}
        return (
            super().conditions(shared)
            | varying
            | {
                "houses": self.houses,
                "leader": self.leader,
                "tariff_weight": self.tariff_weight,
            }
        )


class HomeBatteryAscentSetting(HomeBatterySetting, AscentSetting):
    """Of utilities that step along their estimates.

    Attributes:
        step_size: of Adam, in $/kWh.
        step_size_ratio: what it falls to in the end, geometrically, as a share of the first one.
    """

    step_size_ratio: UnitInterval


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


class SampledSetting(HomeBatteryAscentSetting):
    """Of estimators that watch days.

    What a house pays is known from its meter: `actions` is all that is seen of it.

    Attributes:
        days_per_update: sequences of `max_episode_steps` hours that are watched of every house.
        follower: houses that plan to the end, or not so far, or learn.
    """

    days_per_update: Count
    follower: Annotated[
        ExactFollower | TruncatedPlanning | SoftQLearner | SacHouses, Field(discriminator="kind")
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


class HomeBatteryZeroOrderSetting(HomeBatteryAscentSetting):
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
    """

    spread: Annotated[Positive, PER_RUN]
    population_size: Annotated[Count, Field(ge=3)]
