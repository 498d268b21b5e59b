"""What one estimate does to θ: gradient ascent, plain or with Adam's moments."""

from dataclasses import dataclass
from typing import Protocol

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel

#: What a rule remembers between steps; every array has the runs as its first axis.
OptimiserState = dict[str, Floats]


class AscentRule(Protocol):
    """Turns an estimate of dJ/dθ into a step of every run."""

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Memory before the first step, for θ of `shape` = (R, D)."""

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """θ after a step along `gradient`, both (R, D); updates `optimiser` in place."""


def clipped(gradient: Floats, max_norm: float | Floats) -> Floats:
    """Scale each row (R, D) down to at most `max_norm`, a number or one per run, shape (R, 1)."""
    norm = np.sqrt(np.square(gradient).sum(axis=1, keepdims=True))
    rescaled: Floats = gradient * (max_norm / np.maximum(norm, max_norm))
    return rescaled


@dataclass(frozen=True, eq=False)
class Chosen:
    """Of leaders that choose every θ themselves, as the `proposal` of their estimates."""

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Nothing is remembered."""
        del shape
        return {}

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """Never taken.

        Raises:
            ValueError: always: an estimate came without a `proposal`.
        """
        del theta, gradient, optimiser
        raise ValueError("a leader without a step size must propose the next θ")


@dataclass(frozen=True, eq=False)
class GradientAscent:
    """θ ← θ + η g min(1, max_norm / |g|), η of each run, shape (R,), being `step_size`."""

    step_size: Floats
    max_norm: float

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Nothing is remembered."""
        del shape
        return {}

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """One step."""
        del optimiser
        return theta + self.step_size[:, None] * clipped(gradient, self.max_norm)


@dataclass(frozen=True, eq=False)
class Adam:
    """Adam (Kingma and Ba 2015) with its usual decay rates.

    Attributes:
        step_size: η of each run, shape (R,).
        max_norm: clip of the gradient's Euclidean norm, before the moments; None clips nothing.
        normalise: use the gradient's direction alone, where J grows by orders of magnitude.
        decay: factor of η from one step to the next.
    """

    step_size: Floats
    max_norm: float | None = None
    normalise: bool = False
    decay: float = 1.0
    epsilon: float = 1e-8

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Both moments and the number of steps."""
        return {"mean": np.zeros(shape), "square": np.zeros(shape), "steps": np.zeros(shape[0])}

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """One step."""
        if self.normalise:
            norm = np.sqrt(np.square(gradient).sum(axis=1, keepdims=True))
            gradient = gradient / np.maximum(norm, np.finfo(np.float64).tiny)
        if self.max_norm is not None:
            gradient = clipped(gradient, self.max_norm)
        optimiser["steps"] += 1.0
        steps = optimiser["steps"]
        step_size = self.step_size * self.decay ** (steps - 1.0)
        result = np.empty(theta.shape)
        _adam(
            *(np.ascontiguousarray(array, dtype=np.float64) for array in (theta, gradient)),
            optimiser["mean"], optimiser["square"], 1.0 - 0.9**steps, 1.0 - 0.999**steps,
            step_size, self.epsilon, result,
        )  # fmt: skip
        return result


@parallel_kernel
def _adam(  # type: ignore[no-untyped-def]
    theta, gradient, mean, square, seen_mean, seen_square, step_size, epsilon, result
):
    for r in numba.prange(len(theta)):
        for i in range(theta.shape[1]):
            g = gradient[r, i]
            mean[r, i] += 0.1 * (g - mean[r, i])
            square[r, i] += 0.001 * (g * g - square[r, i])
            root = np.sqrt(square[r, i] / seen_square[r])
            result[r, i] = theta[r, i] + step_size[r] * (mean[r, i] / seen_mean[r]) / (
                root + epsilon
            )


def geometric_decay(ratio: float, num_steps: int) -> float:
    """The factor per step with which η falls to `ratio` η in the last of `num_steps` steps."""
    return float(ratio ** (1.0 / max(1, num_steps - 1)))
