"""Random numbers: one stream per (seed, consumer), drawn for all runs of a batch at once.

Nothing here touches global state. A run's numbers depend on its seed and on the consumer's own
draws only, so neither the other runs of a batch nor more frequent evaluation can change them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from bilevelrl.core.arrays import Floats

#: Their places in this list are in every seed: new ones come last.
Consumer = Literal[
    "initial_parameters", "rollout", "oracle", "critic", "follower", "zero_order", "actor"
]


def stream(seed: int, consumer: Consumer) -> np.random.Generator:
    """The generator of one consumer of one run, from `SeedSequence([seed, place of consumer])`."""
    place = get_args(Consumer).index(consumer)
    return np.random.default_rng(np.random.SeedSequence([seed, place]))


@dataclass(frozen=True, eq=False)
class Streams:
    """The streams of a batch of runs.

    Attributes:
        seeds: one per run, length R. Equal seeds give equal numbers.
    """

    seeds: Sequence[int]
    _generators: dict[Consumer, list[np.random.Generator]] = field(default_factory=dict)
    _buffers: dict[tuple[Consumer, tuple[int, ...]], Floats] = field(default_factory=dict)

    def uniforms(self, consumer: Consumer, shape: tuple[int, ...]) -> Floats:
        """Uniform numbers in [0, 1), shape (R, *shape).

        The array is reused: it holds until the next call with the same consumer and shape.
        """
        key = (consumer, shape)
        if key not in self._buffers:
            self._buffers[key] = np.empty((len(self.seeds), *shape))
        block = self._buffers[key]
        for generator, row in zip(self._of(consumer), block, strict=True):
            generator.random(out=row)
        return block

    def normals(self, consumer: Consumer, shape: tuple[int, ...]) -> Floats:
        """Standard normal numbers, shape (R, *shape)."""
        block = np.empty((len(self.seeds), *shape))
        for generator, row in zip(self._of(consumer), block, strict=True):
            generator.standard_normal(out=row)
        return block

    def _of(self, consumer: Consumer) -> list[np.random.Generator]:
        if consumer not in self._generators:
            self._generators[consumer] = [stream(seed, consumer) for seed in self.seeds]
        return self._generators[consumer]
