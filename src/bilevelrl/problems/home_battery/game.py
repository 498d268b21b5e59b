"""Home battery with houses that answer, ready for the training loop."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import soft_bonus
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.problems.home_battery.exact import (
    components,
    exact_hypergradient,
    leader_return,
    mean_day,
    start_value,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner, Household, HouseholdResponse
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery


@dataclass(frozen=True, eq=False)
class BatteryGame:
    """Implements `core.training.Game`.

    Attributes:
        problem: the bi-level problem.
        follower: what the houses do during training.
        exact: the exact best response, for the ground truth.
        initial_spread: standard deviation of prices around the flat tariff at the start of each
            run, $/kWh, shape (R,); prices start within [0, 1].
    """

    problem: HomeBattery
    follower: Household
    exact: ExactPlanner
    initial_spread: Floats

    def start(self, streams: Streams) -> tuple[Floats, Any]:
        """First θ, shape (R, 24), and the houses' memory."""
        normals = streams.normals("initial_parameters", (self.problem.num_parameters,))
        theta = np.clip(FLAT + self.initial_spread[:, None] * normals, 0.0, 1.0)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Any:
        """What the houses remember before their first answer."""
        return self.follower.start(num_runs, streams)

    def respond(self, theta: Floats, memory: Any, streams: Streams) -> HouseholdResponse:
        """What the houses play against θ."""
        return self.follower.respond(self.problem.follower_reward(theta), memory, streams)

    def leader_return(self, theta: Floats, response: HouseholdResponse) -> Floats:
        """J(θ) under what the houses play, in $ per day, shape (R,)."""
        return leader_return(self.problem, theta, mean_day(self.problem, response.policy))

    #: The J that the leader climbs is the one that is reported.
    objective = leader_return

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ) under the best response, shape (R,)."""
        return self.leader_return(theta, self.exact.best(theta))

    def hypergradient(self, theta: Floats, response: HouseholdResponse) -> Hypergradient:
        """dJ/dθ if the best response of all houses is `response`."""
        return exact_hypergradient(self.problem, theta, response.policy, self.exact.temperature)

    def ground_truth(self, theta: Floats, response: HouseholdResponse) -> GroundTruth:
        """Exact hypergradient and errors of the houses, means over them, at θ."""
        none = np.zeros(len(theta))
        if self.follower is self.exact:
            truth = self.hypergradient(theta, response)
            return GroundTruth(truth.total, truth.leader_return, none, none)
        best = self.exact.best(theta)
        truth = self.hypergradient(theta, best)
        gap = self._soft_return(theta, best) - self._soft_return(theta, response)
        return GroundTruth(
            truth.total, truth.leader_return, kl_divergence(response.policy, best.policy), gap
        )

    def _soft_return(self, theta: Floats, response: HouseholdResponse) -> Floats:
        beta = self.exact.temperature[:, None, None, None, None]
        reward = self.problem.follower_reward(theta) + soft_bonus(response.policy, beta)
        mean: Floats = start_value(self.problem, response.policy, reward).mean(axis=1)
        return mean

    def coordinates(self, theta: Floats, response: HouseholdResponse) -> dict[str, Floats]:
        """What J and the day consist of, see `exact.components`."""
        return components(self.problem, theta, mean_day(self.problem, response.policy))

    def extremes(self, theta: Floats, response: HouseholdResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}


def kl_divergence(policy: Floats, reference: Floats) -> Floats:
    """Mean over houses, hours and charges of KL(π || reference), shape (R,)."""
    ratio = np.log(policy + 1e-16) - np.log(reference + 1e-16)
    divergence: Floats = (policy * ratio).sum(axis=4).mean(axis=(1, 2, 3))
    return np.maximum(divergence, 0.0)  # rounding can leave -1e-18
