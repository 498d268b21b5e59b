"""Random features of a trainer's critics and beliefs."""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.random_features import RandomFeatures


class RandomTanh:
    """1, inputs of order one and random features of them, as `core.random_features` has them."""

    def __init__(
        self, number: int, frequency: float, inputs: int, rng: np.random.Generator
    ) -> None:
        self._kind = RandomFeatures((frequency,) * inputs, number)
        weights = frequency * rng.standard_normal((inputs, number))
        offsets = -(weights * rng.standard_normal((inputs, number))).sum(axis=0)
        self._drawn = np.concatenate([weights, offsets[None]])

    @property
    def size(self) -> int:
        """How many there are in all."""
        return self._kind.size

    def of(self, inputs: Floats) -> Floats:
        """Shape (N, size), of inputs (N, n)."""
        return self._kind.of(self._drawn, inputs)
