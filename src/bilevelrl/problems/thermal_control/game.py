"""Building thermal control with its follower, ready for the training loop."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.observations import Information
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.problems.thermal_control.exact import (
    ThermalHypergradient,
    components,
    spectral_radius,
    thermal_hypergradient,
    weighted,
)
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout

Floats = NDArray[np.float64]


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
        theta = self.problem.initial_parameters(normals, self.initial_spread)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """What the follower remembers before its first answer."""
        return self.follower.start(num_runs, streams)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> RegulatorResponse:
        """What the follower plays against θ."""
        return self.follower.respond(theta, memory, streams)

    def leader_return(self, theta: Floats, response: RegulatorResponse) -> Floats:
        """J over an episode, shape (R,)."""
        horizon = self.problem.max_episode_steps
        return weighted(self.problem, components(self.problem, theta, response, horizon))

    def objective(self, theta: Floats, response: RegulatorResponse) -> Floats:
        """The J that the leader climbs: the one that is reported."""
        return self.leader_return(theta, response)

    def hypergradient(self, theta: Floats, response: RegulatorResponse) -> ThermalHypergradient:
        """dJ/dθ if the follower's best response is `response`."""
        horizon = self.problem.max_episode_steps
        return thermal_hypergradient(self.follower, theta, response, horizon)

    def ground_truth(self, theta: Floats, response: RegulatorResponse) -> GroundTruth:
        """Exact hypergradient; the follower is exact, so its errors are nil."""
        truth = self.hypergradient(theta, response)
        none = np.zeros(len(theta))
        return GroundTruth(truth.total, truth.leader_return, none, none)

    def coordinates(self, theta: Floats) -> dict[str, Floats]:
        """The design, and what J consists of."""
        problem, response = self.problem, self.follower.respond(theta)
        named = {
            f"{name}{zone + 1}": level[:, zone]
            for name, level in zip(("alpha", "beta"), problem.levels(theta), strict=True)
            for zone in range(problem.num_zones)
        }
        return named | components(problem, theta, response, problem.max_episode_steps)

    def extremes(self, theta: Floats) -> dict[str, Floats]:
        """The spectral radius of the closed loop with the best response.

        Above a radius of 1 deviations grow, and J counts on growth without limit although samples
        stop at the problem's state limit; the leaders stage reports such runs.
        """
        response = self.follower.respond(theta)
        return {"spectral_radius": spectral_radius(self.problem, theta, response)}


@dataclass(frozen=True, eq=False)
class ThermalSampler:
    """Implements `sampled.Sampler`.

    Attributes:
        rollout: simulator.
        information: what the leader sees; "rewards" adds the follower's, and only "full" tells how
            the building's noise fell.
    """

    rollout: ThermalRollout
    information: Information

    def observe(
        self, theta: Floats, response: RegulatorResponse, streams: Streams, *, at_random: bool
    ) -> ThermalBatch:
        """Whole episodes; the leader has no actions besides its design."""
        del at_random
        batch = self.rollout.sample(theta, response, streams)
        if self.information == "full":
            return batch
        seen = replace(batch, innovation=None)
        if self.information != "rewards":
            return seen
        problem = self.rollout.problem
        return replace(
            seen, follower_reward=problem.follower_reward(batch.state, batch.follower_action)
        )
