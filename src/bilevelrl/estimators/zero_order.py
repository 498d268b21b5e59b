"""Zero-order: one random finite difference of J per update; needs two solved games, no samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.estimators.exact import leader_return
from bilevelrl.estimators.protocol import Estimate, Memory
from bilevelrl.followers.protocol import BestResponse, Follower
from bilevelrl.problems.protocol import TabularProblem
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ZeroOrder:
    """g = (J(θ + u Z) - J(θ)) / u · Z with Z ~ N(0, I) and u = c / t at update t = 1, 2, ...

    The difference quotient is all in `indirect`: it cannot be split.

    Attributes:
        problem: the bi-level problem.
        follower: answers the perturbed θ.
        radius: c of each run, shape (R,).
        smallest_radius: floor of u, so that rounding never dominates the quotient.
    """

    problem: TabularProblem
    follower: Follower
    radius: Floats
    smallest_radius: float = 1e-6

    def start(self, streams: Streams) -> Memory:
        """Counts updates and keeps the follower's warm start."""
        num_runs = len(self.radius)
        return {
            "update": np.zeros(num_runs),
            "follower": self.follower.start(num_runs, streams),
        }

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Evaluate J at θ and at one random neighbour."""
        memory["update"] += 1.0
        radius = np.maximum(self.radius / memory["update"], self.smallest_radius)[:, None]
        direction = streams.normals("zero_order", (theta.shape[1],))
        neighbour = theta + radius * direction
        answer = self.follower.respond(
            self.problem.follower_reward(neighbour), memory["follower"], streams
        )
        here = leader_return(self.problem, theta, response.policy)
        there = leader_return(self.problem, neighbour, answer.policy)
        return Estimate(
            np.zeros_like(theta),
            ((there - here)[:, None] / radius) * direction,
            np.full(len(theta), np.nan),
        )
