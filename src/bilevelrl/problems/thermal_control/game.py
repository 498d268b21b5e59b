"""Building thermal control with its follower, ready for the training loop."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.problems.thermal_control.exact import (
    components,
    spectral_radius,
    thermal_hypergradient,
    weighted,
)
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl


@dataclass(frozen=True, eq=False)
class ThermalGame:
    """Implements `core.training.Game`.

    Attributes:
        problem: the bi-level problem.
        follower: the exact best response.
        initial_spread: standard deviation of θ at the start of each run, shape (R,).
    """

    problem: ThermalControl
    follower: ThermalRegulator
    initial_spread: Floats

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        normals = streams.normals("initial_parameters", (self.problem.num_parameters,))
        theta = normals * self.initial_spread[:, None]
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """Nothing is remembered, shape (R, 0)."""
        del streams
        return np.empty((num_runs, 0))

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> RegulatorResponse:
        """What the follower plays against θ."""
        del memory, streams
        return self.follower.respond(theta)

    def leader_return(self, theta: Floats, response: RegulatorResponse) -> Floats:
        """J over an episode, shape (R,)."""
        return weighted(self.problem, components(self.problem, theta, response))

    #: The J that the leader climbs is the one that is reported.
    objective = leader_return

    def hypergradient(self, theta: Floats, response: RegulatorResponse) -> Hypergradient:
        """dJ/dθ if the follower's best response is `response`."""
        return thermal_hypergradient(self.follower, theta, response)

    def optimal_return(self, theta: Floats) -> Floats:
        """J under the best response, shape (R,)."""
        return self.leader_return(theta, self.follower.respond(theta))

    def ground_truth(self, theta: Floats, response: RegulatorResponse) -> GroundTruth:
        """Exact hypergradient; the follower is exact, so its errors are nil."""
        truth = self.hypergradient(theta, response)
        none = np.zeros(len(theta))
        return GroundTruth(truth.total, truth.leader_return, none, none)

    def coordinates(self, theta: Floats, response: RegulatorResponse) -> dict[str, Floats]:
        """The design, and what J consists of."""
        named = self.problem.design.named_levels(theta)
        return named | components(self.problem, theta, response)

    def extremes(self, theta: Floats, response: RegulatorResponse) -> dict[str, Floats]:
        """The spectral radius of the closed loop with the best response.

        Above a radius of 1 deviations grow, and J counts on growth without limit although samples
        stop at the problem's state limit; the leaders stage reports such runs.
        """
        return {"spectral_radius": spectral_radius(self.problem, theta, response)}
