"""The policy of a tabular follower, as learned from watching it."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.estimator import Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.frequencies import frequencies
from bilevelrl.core.seeding import Streams


@dataclass(frozen=True, eq=False)
class TabularBelief:
    """Frequencies of the follower's actions, the maximum-likelihood estimate of its policy.

    Attributes:
        shape: (S, A).
        forgetting_factor: weight of all earlier batches against the newest.
        smoothing: share of uniform actions, see `frequencies`.
    """

    shape: tuple[int, int]
    forgetting_factor: float = 0.0
    smoothing: float = 0.0

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        return {"belief_played": np.zeros((len(streams.seeds), *self.shape))}

    def learn(self, theta: Floats, seen: TabularObservations, memory: Memory) -> BestResponse:
        """What the follower seems to play; what it expects is not asked for, and NaN."""
        played = memory["belief_played"]
        played *= self.forgetting_factor
        runs = np.arange(len(theta))[:, None, None]
        np.add.at(played, (runs, seen.state, seen.action), 1.0)
        unknown, none = np.full(played.shape[:2], np.nan), np.zeros(len(theta), dtype=np.int64)
        return BestResponse(frequencies(played, self.smoothing), unknown, unknown[:, 0], none)
