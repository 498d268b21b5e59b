"""What an estimator asks of a critic."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams

Floats = NDArray[np.float64]


class Critic(Protocol):
    """Keeps a table Q_L(s, a) of every run, shape (R, S, A), up to date."""

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """The table before the first batch, for `shape` = (S, A)."""
        ...

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Change `table` in place after a batch under `policy` with rewards r_L(s, a; θ)."""
        ...


def policy_advantage(action_value: Floats, policy: Floats) -> Floats:
    """A(s, a) = Q(s, a) - Σ_a' π(a'|s) Q(s, a'), shape (R, S, A)."""
    mean = (policy * action_value).sum(axis=-1, keepdims=True)
    advantage: Floats = action_value - mean
    return advantage
