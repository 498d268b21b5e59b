"""Trust in a sampled indirect term as far as two halves of its samples agree on it.

Two leaders that see half of the episodes each estimate it beside the one that sees them all. Their
correlation r tells how much of a half's estimate is not noise, and 2 r / (1 + r), the Spearman-
Brown formula, how much of the whole one is not. That share of it is followed. What both halves are
wrong about alike they cannot see; so it is kept shorter than the direct term, and the sum of both
never leads down where that leads up.
"""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import clipped
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Learner, Sampled
from bilevelrl.core.seeding import Streams

Seen = TypeVar("Seen", bound=Observations)


def reliability(first: Floats, second: Floats) -> Floats:
    """Share in [0, 1] of the mean of two estimates (R, D) that is not noise, shape (R,).

    2 r / (1 + r) of their correlation r, which is 0 if one of them is; 0 where they disagree.
    """
    size = np.sqrt(np.square(first).sum(axis=1) * np.square(second).sum(axis=1))
    product = (first * second).sum(axis=1)
    correlation = np.clip(product / np.where(size > 0.0, size, np.inf), 0.0, 1.0)
    share: Floats = 2.0 * correlation / (1.0 + correlation)
    return share


@dataclass(frozen=True, eq=False)
class SplitHalf(Generic[Seen]):
    """An `Estimator`: another one whose indirect term is shrunk by the `reliability` of its halves.

    Attributes:
        sampled: the other one; belief, learner and their memory exist three times.
        horizon: steps per episode; a batch has two episodes at least.
        longest: length of the indirect term at most, as a share below 1 of the direct one's.
    """

    sampled: Sampled[Seen]
    horizon: int
    longest: float

    @property
    def learner(self) -> Learner[Seen]:
        """Of the other one."""
        return self.sampled.learner

    def start(self, streams: Streams) -> Memory:
        """Of the whole, and of each half, under names that begin so."""
        parts = {part: self.sampled.start(streams) for part in ("whole", "first", "second")}
        return {f"{part}/{name}": own for part, all_ in parts.items() for name, own in all_.items()}

    def estimate(
        self, theta: Floats, response: object, memory: Memory, streams: Streams
    ) -> Estimate:
        """Observe one batch, and learn from it and from both halves of its episodes."""
        whole = _part(memory, "whole")
        at_random = self.sampled.learner.acts_at_random(whole)
        seen = self.sampled.sampler.observe(theta, response, streams, at_random=at_random)
        number = seen.leader_reward.shape[1]
        middle = number // self.horizon // 2 * self.horizon
        found = {}
        for part, start, end in (
            ("whole", 0, number), ("first", 0, middle), ("second", middle, number)
        ):  # fmt: skip
            own, index = _part(memory, part), np.tile(np.arange(start, end), (len(theta), 1))
            batch = seen.take(index)
            found[part] = self.sampled.learn(theta, response, batch, own, streams)
            memory |= {f"{part}/{name}": array for name, array in own.items()}
        share = reliability(found["first"].indirect, found["second"].indirect)
        direct, indirect = found["whole"].direct, share[:, None] * found["whole"].indirect
        longest = self.longest * np.sqrt(np.square(direct).sum(axis=1, keepdims=True))
        # Else a length of zero would be divided by another.
        indirect = clipped(indirect, np.maximum(longest, np.finfo(np.float64).tiny))
        return replace(found["whole"], indirect=indirect, again=None)


def _part(memory: Memory, part: str) -> Memory:
    start = f"{part}/"
    return {
        name.removeprefix(start): array for name, array in memory.items() if name.startswith(start)
    }
