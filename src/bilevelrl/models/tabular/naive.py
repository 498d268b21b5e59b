"""Naive-PGD: the direct term alone, as if the follower did not react."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.on_policy import OnPolicy


@dataclass(frozen=True, eq=False)
class Naive:
    """dJ/dθ ≈ the direct term. Biased wherever the follower's response matters."""

    sampling: OnPolicy

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate the direct term from one batch."""
        del memory
        batch = self.sampling.rollout.sample(response.policy, streams)
        return self.sampling.estimate(theta, batch, np.zeros_like(theta))
