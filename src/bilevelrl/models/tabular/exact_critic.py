"""The leader's true action values, for tests and studies that separate critic from estimator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.model import TabularModel, action_values

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """Replaces the table by Q_L of the current policy, whatever the batch showed.

    Attributes:
        model: the process in which Q_L is meant.
    """

    model: TabularModel

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """Zeros, shape (R, S, A)."""
        return np.zeros((len(streams.seeds), *shape))

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Solve for Q_L; changes `table` in place."""
        del batch, streams
        table[:] = action_values(self.model, policy, reward)
