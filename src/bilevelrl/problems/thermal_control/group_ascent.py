"""Gradient ascent on parameters that come in groups, each with an optimiser of its own."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import OptimiserState, clipped


@dataclass(frozen=True, eq=False)
class GroupAscent:
    """θ_g ← θ_g + η m_g min(1, max_norm / |m_g|) for equally large groups g of parameters.

    m is the mean of all estimates so far with weights that fall by `momentum` per update. Averaging
    comes before the clip: the mean direction of noisy estimates is not the direction of their mean.

    Attributes:
        step_size: η of each run, shape (R,).
        max_norm: clip of each group's Euclidean norm.
        groups: how many; they lie one after the other in θ.
        momentum: weight of an estimate against the next, of each run, shape (R,); 0 takes the
            newest alone.
    """

    step_size: Floats
    max_norm: float
    groups: int
    momentum: Floats

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Nothing to average yet."""
        return {"sum": np.zeros(shape), "weight": np.zeros(shape[0])}

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """One step."""
        for name, new in (("sum", gradient), ("weight", np.ones(len(theta)))):
            older = optimiser[name]
            older *= self.momentum.reshape(-1, *(1,) * (older.ndim - 1))
            older += new
        mean = optimiser["sum"] / optimiser["weight"][:, None]
        apart = clipped(mean.reshape(len(theta) * self.groups, -1), self.max_norm)
        return theta + self.step_size[:, None] * apart.reshape(theta.shape)
