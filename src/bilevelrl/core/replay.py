"""Transitions that outlive the batch they came in."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations

_FIELDS = ("state", "leader_action", "follower_action", "next_state", "leader_reward")


@dataclass(frozen=True, eq=False)
class Replay:
    """Keeps whole episodes of equal length.

    Attributes:
        horizon: steps per episode.
        capacity: episodes kept; the newest overwrite the oldest.
    """

    horizon: int
    capacity: int

    def add(self, batch: Observations, memory: Memory) -> Observations:
        """Store a batch in `memory`; returns everything that is stored.

        Raises:
            ValueError: if the batch is larger than the capacity or does not divide it.
        """
        size, room = batch.leader_reward.shape[1], self.capacity * self.horizon
        if room % size:
            raise ValueError(f"{room} stored transitions are no multiple of a batch of {size}")
        if "replay_state" not in memory:
            empty = batch.storage(room)
            memory |= {f"replay_{name}": getattr(empty, name) for name in _FIELDS}
            memory["replay_batches"] = np.zeros(len(batch.leader_reward), dtype=np.int64)
        stored = Observations(*(memory[f"replay_{name}"] for name in _FIELDS))
        number = int(memory["replay_batches"][0])
        stored.write(batch, number * size % room)
        memory["replay_batches"] += 1
        return stored.first(min((number + 1) * size, room))
