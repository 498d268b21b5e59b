"""Observations and actions of Gymnasium spaces as rows of numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from numpy.typing import NDArray

from bilevelrl.core.arrays import AnyArray, Floats, Index


@dataclass(frozen=True, eq=False)
class Encoding:
    """Rows of numbers that a linear function can use: coordinates, or a one for the element.

    Attributes:
        space: whose elements are encoded.
        size: numbers per element.
        num_elements: how many there are; None in a `Box`.
    """

    space: Space[Any]
    size: int
    num_elements: int | None

    @classmethod
    def of(cls, name: str, space: Space[Any]) -> "Encoding":
        """The encoding of a space.

        Raises:
            ValueError: it is neither `Discrete`, `MultiDiscrete` nor `Box`.
        """
        if isinstance(space, Discrete):
            return cls(space, int(space.n), int(space.n))
        if isinstance(space, MultiDiscrete):
            return cls(space, int(space.nvec.sum()), math.prod(map(int, space.nvec)))
        if isinstance(space, Box):
            return cls(space, int(np.prod(space.shape)), None)
        raise ValueError(f"{name} is {space}; expected a Discrete, MultiDiscrete or Box space")

    def rows(self, elements: AnyArray) -> Floats:
        """Shape (N, size), of elements (N, ...)."""
        if self.num_elements is None:
            return np.asarray(elements, np.float64).reshape(len(elements), self.size)
        parts = [np.eye(n)[digits] for digits, n in self._digits(elements)]
        return np.concatenate(parts, axis=1)

    def numbers(self, elements: AnyArray) -> Index:
        """Each element's number among all, shape (N,), of a space with finitely many."""
        number = np.zeros(len(elements), dtype=np.int64)
        for digits, n in self._digits(elements):
            number = number * n + digits
        return number

    def _digits(self, elements: AnyArray) -> list[tuple[Index, int]]:
        from_zero = np.asarray(elements, np.int64) - start_of(self.space)
        if isinstance(self.space, Discrete):
            return [(from_zero, int(self.space.n))]
        assert isinstance(self.space, MultiDiscrete)
        return list(zip(from_zero.T, map(int, self.space.nvec), strict=True))


def start_of(space: Space[Any]) -> Any:
    """The smallest element of a discrete space, in each of its places; 0 of a `Box`."""
    return getattr(space, "start", 0)


def all_elements(space: Discrete) -> Index:
    """Every element of a discrete space, in order."""
    return np.arange(space.n, dtype=np.int64) + int(space.start)


@dataclass(frozen=True, eq=False)
class JointEncoding:
    """Elements of several spaces in one row.

    Attributes:
        parts: of the single spaces.
        num_elements: combinations; None if one of the spaces is a `Box`.
    """

    parts: Sequence[Encoding]

    @property
    def size(self) -> int:
        """Numbers per row."""
        return sum(part.size for part in self.parts)

    @property
    def num_elements(self) -> int | None:
        """How many combinations there are; None if there are infinitely many."""
        total = 1
        for part in self.parts:
            if part.num_elements is None:
                return None
            total *= part.num_elements
        return total

    @property
    def is_coordinate(self) -> NDArray[np.bool_]:
        """Which columns are coordinates of a `Box`, shape (size,)."""
        return np.repeat(
            [part.num_elements is None for part in self.parts], [part.size for part in self.parts]
        )

    def rows(self, elements: Sequence[AnyArray]) -> Floats:
        """Shape (N, size)."""
        pairs = zip(self.parts, elements, strict=True)
        return np.concatenate([part.rows(values) for part, values in pairs], axis=1)

    def numbers(self, elements: Sequence[AnyArray]) -> Index:
        """Each combination's number, shape (N,), of spaces with finitely many elements."""
        number = np.zeros(len(elements[0]), dtype=np.int64)
        for part, values in zip(self.parts, elements, strict=True):
            assert part.num_elements is not None
            number = number * part.num_elements + part.numbers(values)
        return number


class Standardised:
    """Rows whose coordinates have mean zero and spread one in the first batch; ones stay ones."""

    def __init__(self, encoding: JointEncoding) -> None:
        self.encoding = encoding
        self._mean: Floats | None = None
        self._spread: Floats | None = None

    def rows(self, elements: Sequence[AnyArray]) -> Floats:
        """Shape (N, n)."""
        rows = self.encoding.rows(elements)
        if self._mean is None or self._spread is None:
            moving = self.encoding.is_coordinate & (rows.std(axis=0) > 1e-8)
            self._mean = np.where(self.encoding.is_coordinate, rows.mean(axis=0), 0.0)
            self._spread = np.where(moving, rows.std(axis=0), 1.0)
        return (rows - self._mean) / self._spread

    def tensor(self, elements: Sequence[AnyArray]) -> torch.Tensor:
        """The same as a tensor of float32."""
        return torch.as_tensor(self.rows(elements), dtype=torch.float32)
