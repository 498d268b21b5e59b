"""Zero-order: one random finite difference of J per update; needs two solved games, no samples."""

from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import Response
from bilevelrl.core.seeding import Streams


class Solvable(Protocol[Response]):
    """A game that can be solved at any θ."""

    def follower_memory(self, num_runs: int, streams: Streams) -> AnyArray:
        """What the follower remembers before its first answer."""

    def respond(self, theta: Floats, memory: AnyArray, streams: Streams) -> Response:
        """What the follower plays against θ; updates `memory` in place."""

    def objective(self, theta: Floats, response: Response) -> Floats:
        """The J that the leader climbs, shape (R,)."""


@dataclass(frozen=True, eq=False)
class ZeroOrder(Generic[Response]):
    """g = (J(θ + u Z) - J(θ)) / u · Z with Z ~ N(0, I) and u = c / t at update t = 1, 2, ...

    The difference quotient is all in `indirect`: it cannot be split.

    Attributes:
        radius: c of each run, shape (R,).
        smallest_radius: floor of u, so that rounding never dominates the quotient.
    """

    game: Solvable[Response]
    radius: Floats
    smallest_radius: float = 1e-6

    def start(self, streams: Streams) -> Memory:
        """Counts updates and keeps the follower's warm start."""
        follower = self.game.follower_memory(len(self.radius), streams)
        return {"update": np.zeros(len(self.radius)), "follower": follower}

    def estimate(
        self, theta: Floats, response: Response, memory: Memory, streams: Streams
    ) -> Estimate:
        """Evaluate J at θ and at one random neighbour."""
        memory["update"] += 1.0
        radius = np.maximum(self.radius / memory["update"], self.smallest_radius)[:, None]
        direction = streams.normals("zero_order", (theta.shape[1],))
        neighbour = theta + radius * direction
        answer = self.game.respond(neighbour, memory["follower"], streams)
        here = self.game.objective(theta, response)
        there = self.game.objective(neighbour, answer)
        return Estimate(
            np.zeros_like(theta),
            ((there - here)[:, None] / radius) * direction,
            np.full(len(theta), np.nan),
        )
