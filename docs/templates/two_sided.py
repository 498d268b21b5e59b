"""Two-sided zero-order: one random central difference of J per update; needs two solved games."""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.cell import per_run
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import Response
from bilevelrl.core.seeding import Streams
from bilevelrl.core.zero_order import Solvable

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TwoSided(Generic[Response]):
    """g = (J(θ + u Z) - J(θ - u Z)) / 2u · Z with Z ~ N(0, I).

    Attributes:
        game: of any family of problems.
        radius: u of each run, shape (R,).
    """

    game: Solvable[Response]
    radius: Floats

    def start(self, streams: Streams) -> Memory:
        """What the follower remembers from one neighbour to the next."""
        return {"follower": self.game.follower_memory(len(self.radius), streams)}

    def estimate(
        self, theta: Floats, response: Response, memory: Memory, streams: Streams
    ) -> Estimate:
        """Evaluate J at two neighbours; the difference quotient is all in `indirect`."""
        direction = streams.normals("zero_order", (theta.shape[1],))
        there, back = (
            self._objective(theta + sign * self.radius[:, None] * direction, memory, streams)
            for sign in (1.0, -1.0)
        )
        slope = (there - back) / (2.0 * self.radius)
        nothing = np.full(len(theta), np.nan)
        return Estimate(np.zeros_like(theta), slope[:, None] * direction, nothing)

    def _objective(self, theta: Floats, memory: Memory, streams: Streams) -> Floats:
        return self.game.objective(theta, self.game.respond(theta, memory["follower"], streams))


def two_sided(group: Any) -> TwoSided[Any]:
    """The estimator of runs that train together: their settings and their game."""
    return TwoSided(group.game, per_run(group.settings, "radius"))
