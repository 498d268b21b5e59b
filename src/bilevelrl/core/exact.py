"""The exact hypergradient as an estimator, whatever the problem."""

from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory, Response_contra
from bilevelrl.core.seeding import Streams


@dataclass(frozen=True, eq=False)
class Hypergradient:
    """dJ/dθ and its two parts.

    Attributes:
        direct: through the leader's own reward, the follower held fixed, shape (R, D).
        indirect: through the follower's best response, shape (R, D).
        leader_return: J(θ), shape (R,).
    """

    direct: Floats
    indirect: Floats
    leader_return: Floats

    @property
    def total(self) -> Floats:
        """dJ/dθ, shape (R, D)."""
        return self.direct + self.indirect


class Differentiable(Protocol[Response_contra]):
    """A game whose hypergradient is known in closed form."""

    def hypergradient(self, theta: Floats, response: Response_contra) -> Hypergradient:
        """dJ/dθ at θ, shape (R, D), if the follower's best response is `response`."""


@dataclass(frozen=True, eq=False)
class Exact(Generic[Response_contra]):
    """Ascent along the exact hypergradient, what every sampled estimator tries to imitate."""

    game: Differentiable[Response_contra]

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Response_contra, memory: Memory, streams: Streams
    ) -> Estimate:
        """The hypergradient itself; costs no samples."""
        del memory, streams
        truth = self.game.hypergradient(theta, response)
        return Estimate(truth.direct, truth.indirect, np.full(len(theta), np.nan))
