"""Functions that are linear in random tanh features, fitted by least squares as data arrive.

One solve per batch finds what a network would need hundreds of steps for, without a step size.
Data are kept as sums of products, in which older batches count less and less.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams

Memory = dict[str, Floats]

#: Rows whose features are held together where only a prediction is asked for.
BLOCK = 512


@dataclass(frozen=True)
class RandomFeatures:
    """1, z, and tanh(w · (z - c)) with normal w and c, for inputs z of order one.

    Attributes:
        frequencies: standard deviation of w in each coordinate of z, length n.
        number: of random features.
    """

    frequencies: tuple[float, ...]
    number: int

    @property
    def size(self) -> int:
        """F = 1 + n + `number`."""
        return 1 + len(self.frequencies) + self.number

    def start(self, streams: Streams) -> Floats:
        """Weights and offsets, shape (R, n + 1, number)."""
        inputs = len(self.frequencies)
        normals = streams.normals("critic", (2, inputs, self.number))
        weights = np.array(self.frequencies)[:, None] * normals[:, 0]
        offsets = -(weights * normals[:, 1]).sum(axis=1, keepdims=True)
        drawn: Floats = np.concatenate([weights, offsets], axis=1)
        return drawn

    def of(self, drawn: Floats, inputs: Floats) -> Floats:
        """Features (N, F) of one run's inputs (N, n)."""
        curved = np.tanh(inputs @ drawn[:-1] + drawn[-1])
        rows: Floats = np.concatenate([np.ones((len(inputs), 1)), inputs, curved], axis=1)
        return rows

    def predict(self, drawn: Floats, inputs: Floats, coefficients: Floats) -> Floats:
        """What is linear in the features with coefficients (F, outputs), shape (N, outputs).

        Block by block, because the features of all rows would not fit the cache.
        """
        blocks = (inputs[start : start + BLOCK] for start in range(0, len(inputs), BLOCK))
        found = [self.of(drawn, block) @ coefficients for block in blocks]
        return np.concatenate([np.empty((0, coefficients.shape[1])), *found])


def remember(memory: Memory, name: str, run: int, new: tuple[Floats, Floats], keep: float) -> None:
    """Add a batch's (matrix, vector) to those of one run, after older ones have faded to `keep`."""
    for kind, sums in zip(("matrix", "vector"), new, strict=True):
        stored = memory[f"{name}_{kind}"][run]
        stored *= keep
        stored += sums


def sums(size: int, outputs: int, num_runs: int, name: str) -> Memory:
    """Nothing remembered yet, for `remember` and `fit`."""
    return {
        f"{name}_matrix": np.zeros((num_runs, size, size)),
        f"{name}_vector": np.zeros((num_runs, size, outputs)),
        f"{name}_coefficients": np.zeros((num_runs, size, outputs)),
    }


def solved(memory: Memory, name: str, run: int, ridge: float) -> Floats:
    """Coefficients (F, outputs) of one run; `ridge` is relative to the mean diagonal."""
    matrix, vector = memory[f"{name}_matrix"][run], memory[f"{name}_vector"][run]
    penalty = ridge * max(float(np.trace(matrix)) / len(matrix), np.finfo(np.float64).tiny)
    coefficients: Floats = np.linalg.solve(matrix + penalty * np.eye(len(matrix)), vector)
    return coefficients


def fit(
    memory: Memory, name: str, run: int, new: tuple[Floats, Floats], *, keep: float, ridge: float
) -> None:
    """`remember` a batch, and the coefficients that are `solved` then."""
    remember(memory, name, run, new, keep)
    memory[f"{name}_coefficients"][run] = solved(memory, name, run, ridge)


def temporal_difference(
    here: Floats, following: Floats, reward: Floats, discount: float, ended: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Normal equations of v(s) = r + γ v(s') (least-squares temporal differences).

    Where an episode `ended`, shape (N,), v(s') = 0 is an equation too. Features are (N, F) `here`
    and of what follows, rewards (N, m).
    """
    last = following[ended]
    change = here - discount * following * ~ended[:, None]
    return here.T @ change + last.T @ last, here.T @ reward


def regression(inputs: Floats, outputs: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Normal equations of weighted least squares of (N, m) on (N, F), with weights (N,)."""
    weighted = inputs * weights[:, None]
    return weighted.T @ inputs, weighted.T @ outputs


def solved_once(equations: tuple[Floats, Floats], ridge: float) -> Floats:
    """Coefficients of normal equations that are not remembered."""
    matrix, vector = equations
    return solved({"_matrix": matrix[None], "_vector": vector[None]}, "", 0, ridge)
