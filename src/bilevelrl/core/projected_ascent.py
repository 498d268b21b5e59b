"""Ascent of θ within bounds: a step of any rule, and then the nearest point of the box."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import AscentRule, OptimiserState


@dataclass(frozen=True, eq=False)
class Projected:
    """θ ← clip(step of `rule`, lower, upper), so that θ never leaves the box.

    The rule sees whole gradients, those that point out of the box as well; its moments remember
    them.

    Attributes:
        rule: what takes the step.
        lower: of all coordinates, and of all runs.
        upper: likewise.

    Raises:
        ValueError: if the box is empty.
    """

    rule: AscentRule
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise ValueError(f"lower = {self.lower}, upper = {self.upper}: nothing is between")

    def start(self, shape: tuple[int, ...]) -> OptimiserState:
        """Memory of the rule."""
        return self.rule.start(shape)

    def step(self, theta: Floats, gradient: Floats, optimiser: OptimiserState) -> Floats:
        """One step; updates `optimiser` in place."""
        after: Floats = np.clip(self.rule.step(theta, gradient, optimiser), self.lower, self.upper)
        return after
