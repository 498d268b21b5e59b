"""What a leader that guides a cart-pole expects from where a step ends."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.random_features import (
    Memory,
    RandomFeatures,
    fit,
    sums,
    temporal_difference,
)
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.view import scaled

_NAME = "leader_value"


@dataclass(frozen=True)
class ArrivalCritic:
    """w(s', t + 1) = E[r_L + γ_L r_L' + ... | the step from t to t + 1 ends in s'].

    Q_L(s, a, b) at step t is w at the step's end, which a learned model tells: a step moves the
    cart so little that Q_L itself would drown the two actions in the state.

    Attributes:
        features: of the scaled state and of the share of the episode that is left.
        horizon: T.
        discount: γ_L.
        forgetting_factor: weight of all earlier batches against the newest.
        ridge: see `random_features.solved`.
    """

    features: RandomFeatures
    horizon: int
    discount: float
    forgetting_factor: float
    ridge: float

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        return {
            f"{_NAME}_features": self.features.start(streams),
            **sums(self.features.size, 1, len(streams.seeds), _NAME),
        }

    def learn(self, batch: CartPoleBatch, memory: Memory) -> None:
        """One least-squares solution per run; updates `memory` in place."""
        number = batch.leader_reward.shape[1]
        time = np.arange(number) % self.horizon
        for run, alive in enumerate(batch.alive):
            drawn = memory[f"{_NAME}_features"][run]
            rows = self.features.of(drawn, self._inputs(batch.next_state[run], time + 1))
            goes_on = np.zeros(number, dtype=np.bool_)
            goes_on[:-1] = alive[1:] & (time[1:] > 0)
            following = np.zeros_like(rows)
            following[:-1] = rows[1:] * goes_on[:-1, None]
            reward = batch.leader_reward[run][alive][:, None]
            ended = np.zeros(int(alive.sum()), dtype=np.bool_)
            new = temporal_difference(rows[alive], following[alive], reward, self.discount, ended)
            fit(memory, _NAME, run, new, keep=self.forgetting_factor, ridge=self.ridge)

    def values(self, run: int, arrival: Floats, time: Index, memory: Memory) -> Floats:
        """W of one run, shape (N,), at states (N, 4) that are reached at steps (N,)."""
        coefficients = memory[f"{_NAME}_coefficients"][run]
        inputs = self._inputs(arrival, time)
        return self.features.predict(memory[f"{_NAME}_features"][run], inputs, coefficients)[:, 0]

    def _inputs(self, arrival: Floats, time: Index) -> Floats:
        left = (self.horizon - time) / self.horizon
        return np.concatenate([scaled(arrival), left[:, None]], axis=1)
