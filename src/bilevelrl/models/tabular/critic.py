"""What an estimator asks of a critic, and the critic that knows the truth."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.model import TabularModel, action_values


class Critic(Protocol):
    """Keeps a table Q_L(s, a) of every run, shape (R, S, A), up to date."""

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """The table before the first batch, for `shape` = (S, A)."""

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Change `table` in place after a batch under `policy` with rewards r_L(s, a; θ)."""


def policy_advantage(action_value: Floats, policy: Floats) -> Floats:
    """A(s, a) = Q(s, a) - Σ_a' π(a'|s) Q(s, a'), shape (R, S, A)."""
    advantage: Floats = action_value - (policy * action_value).sum(axis=-1, keepdims=True)
    return advantage


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """Replaces the table by Q_L in `model` of the current policy, for tests and studies."""

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
