"""Hyper-parameters of road pricing's estimators, and which travellers they watch."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bilevelrl.core.settings import (
    PER_RUN,
    AscentSetting,
    Component,
    ExactFollower,
    Role,
    Setting,
    Share,
)
from bilevelrl.core.validation import Content, Count, Positive, UnitInterval

#: Total travel time, or what travellers expect to pay less the revenue.
Objective = Literal["tstt", "net"]
#: Of an estimate: one trip has no covariance.
NumTrips = Annotated[Count, Field(ge=2)]


class TollsSetting(Setting):
    """Settings of road pricing; the rationality of travellers is 1 / `temperature` per minute.

    Attributes:
        objective: the loss.
        tollable: number of links that have a toll: as many as `toll_links`, or all.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "objective": "case",
        "tollable": "case",
        "rationality": "main",
        "trips_per_update": "budget",
    }

    objective: Objective
    tollable: Count

    @property
    def rationality(self) -> float:
        """β_r of the travellers per minute."""
        return 1.0 / self.temperature

    def conditions(self, shared: Content) -> Content:
        """What J is, beside what every setting says."""
        return super().conditions(shared) | {
            "objective": self.objective,
            "rationality": f"{self.rationality:g}",
            "tollable": self.tollable,
        }


class TollsAscentSetting(TollsSetting, AscentSetting):
    """Of planners that step along their estimates.

    Attributes:
        step_size: of Adam, in minutes.
        step_size_ratio: what it falls to in the end, geometrically, as a share of the first one.
    """

    step_size_ratio: UnitInterval


class DayToDayFollower(Component):
    """Travellers who learn from day to day how long links take.

    Attributes:
        start: what they expect after the planner has moved: "carry" what they learned, or "reset"
            to empty roads.
        days: before each answer.
        step_size: share of the way from what they expect to what they meet.
    """

    kind: Literal["day_to_day"]
    start: Literal["carry", "reset"]
    days: Count
    step_size: Annotated[UnitInterval, PER_RUN]

    @property
    def conditions(self) -> Content:
        """Which travellers, and how much they learn."""
        return {"follower": self.kind, "start": self.start, "days": self.days}

    def cost(self, num_updates: int) -> int:
        """Effort of a run."""
        return num_updates * 20 * self.days


class SeenTripSetting(TollsSetting):
    """Of estimators that see trips, and neither what they cost travellers nor what these expect."""

    trips_per_update: NumTrips

    def conditions(self, shared: Content) -> Content:
        """How many trips, and that nothing else is seen."""
        return super().conditions(shared) | {
            "information": "actions",
            "trips_per_update": self.trips_per_update,
        }


class IdentifiedDelaysParams(Component):
    """Delay curves that a planner learns, who knows lengths and speeds but no capacities."""

    kind: Literal["identified"]

    @property
    def conditions(self) -> Content:
        """What it sees: what links cost its travellers in time."""
        return {"information": "rewards", "model": self.kind}


class WatchedTripSetting(SeenTripSetting):
    """Of those among them that only watch.

    Attributes:
        follower: travellers in equilibrium, or ones that learn.
    """

    follower: Annotated[ExactFollower | DayToDayFollower, Field(discriminator="kind")] = (
        ExactFollower()
    )


class TripSetting(WatchedTripSetting, TollsAscentSetting):
    """Of those that watch, and step along their estimates."""


class PerturbedSetting(SeenTripSetting, TollsAscentSetting):
    """Of the perturbed follower.

    Attributes:
        epsilon: share of the loss that travellers are charged.
        two_sided: whether they are also paid that share.
    """

    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool


class ExternalitySetting(WatchedTripSetting):
    """Of the externality update, which has a step of its own.

    Attributes:
        step_size: share of the way to what the flows ask for, at every update.
    """

    step_size: Annotated[UnitInterval, PER_RUN]


class LearnedTripSetting(TripSetting):
    """Of estimators that remember how travellers chose.

    Attributes:
        forgetting_factor: weight of all earlier trips against the newest.
        model: a planner who knows the capacities of its roads has none.
    """

    forgetting_factor: Share
    model: IdentifiedDelaysParams | None = None

    def conditions(self, shared: Content) -> Content:
        """Whether it also sees how long links take, and learns its delay curves from that."""
        told = super().conditions(shared)
        return told if self.model is None else told | self.model.conditions


class TollsZeroOrderSetting(TollsAscentSetting):
    """Of the zero-order estimator.

    Attributes:
        radius: distance of two evaluations of J at the first update, in minutes.
    """

    radius: Annotated[Positive, PER_RUN]


class TollsBlackBoxSetting(TollsSetting):
    """Of CMA-ES.

    Attributes:
        spread: standard deviation of the first population, in minutes.
        population_size: evaluations of J per update.
    """

    spread: Annotated[Positive, PER_RUN]
    population_size: Annotated[Count, Field(ge=3)]
