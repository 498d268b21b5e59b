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
        (runs, size), room = batch.leader_reward.shape, self.capacity * self.horizon
        if room % size:
            raise ValueError(f"{room} stored transitions are no multiple of a batch of {size}")
        number = int(memory.setdefault("replay_batches", np.zeros(runs, dtype=np.int64))[0])
        start, kept = number * size % room, min((number + 1) * size, room)
        stored = []
        for name in _FIELDS:
            key, new = f"replay_{name}", getattr(batch, name)
            if key not in memory:
                memory[key] = np.zeros((runs, room, *new.shape[2:]), new.dtype)
            memory[key][:, start : start + size] = new
            stored.append(memory[key][:, :kept])
        memory["replay_batches"] += 1
        return Observations(*stored)
