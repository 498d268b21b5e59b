"""The follower's answer to the leader, for a batch of runs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]


class NotConverged(RuntimeError):
    """A solver missed its tolerance; going on would silently bias every hypergradient."""


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What the follower plays, and how far that is from its optimum.

    Attributes:
        policy: π(a | s), shape (R, S, A).
        value: soft value V_F(s) that the policy was derived from, shape (R, S).
        accuracy: certified bound on max_s |V_F(s) - V*_F(s)|, shape (R,).
        iterations: policy-improvement steps used, shape (R,).
    """

    policy: Floats
    value: Floats
    accuracy: Floats
    iterations: NDArray[np.int64]


class Follower(Protocol):
    """Answers the leader. Whatever it carries from one answer to the next lives in `memory`."""

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Memory before the first answer, one row per run."""
        ...

    def respond(self, reward: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Answer rewards r_F(s, a; θ), shape (R, S, A); updates `memory` in place."""
        ...
