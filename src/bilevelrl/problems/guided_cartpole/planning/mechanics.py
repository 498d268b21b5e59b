"""What a planner reckons with: how cart and pole move, when an episode ends, what is paid.

Cart and pole are a mechanical system: positions change by their speeds, speeds by what both players
do. Where the cart is and how fast it rolls changes neither (Galilei).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole

Flags = NDArray[np.bool_]


class Mechanics(Protocol):
    """A cart and a pole, as a planner sees them; read-only."""

    @property
    def limit(self) -> float:
        """|x| that ends an episode, in metres."""
        ...

    @property
    def angle_limit(self) -> float:
        """|φ| that ends an episode, in radians."""
        ...

    @property
    def starts(self) -> tuple[Floats, Floats]:
        """States in which episodes begin, (n, 4), and their weights (n,), which sum to 1."""
        ...

    @property
    def follower_reward(self) -> float:
        """The follower's reward r_F per step."""
        ...

    def drift(self, speed: Floats, rotation: Floats) -> tuple[Floats, Floats]:
        """Changes of x and φ in a step, at ẋ and φ̇ of any shape each."""
        ...

    def kick(
        self, angle: Floats, rotation: Floats, wind: Floats, push: Floats
    ) -> tuple[Floats, Floats]:
        """Changes of ẋ and φ̇ in a step, of one shape, at (φ, φ̇, w, u) of that shape."""
        ...

    def leader_reward(self, position: Floats) -> Floats:
        """The leader's reward r_L of steps that end with the cart at x, of any shape."""
        ...


@dataclass(frozen=True, eq=False)
class TrueMechanics:
    """Implements `Mechanics`: the problem itself."""

    problem: GuidedCartPole

    @property
    def limit(self) -> float:
        """See `Mechanics`."""
        return self.problem.limit

    @property
    def angle_limit(self) -> float:
        """See `Mechanics`."""
        return self.problem.angle_limit

    @property
    def starts(self) -> tuple[Floats, Floats]:
        """Gauss-Legendre nodes of the uniform first state, three in each coordinate."""
        nodes, weights = np.polynomial.legendre.leggauss(3)
        states = np.stack(np.meshgrid(*[nodes] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
        each = np.stack(np.meshgrid(*[weights / 2.0] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
        return self.problem.initial_spread * states, each.prod(axis=1)

    @property
    def follower_reward(self) -> float:
        """1, see `GuidedCartPole`."""
        return 1.0

    def drift(self, speed: Floats, rotation: Floats) -> tuple[Floats, Floats]:
        """See `Mechanics`."""
        return self.problem.time_step * speed, self.problem.time_step * rotation

    def kick(
        self, angle: Floats, rotation: Floats, wind: Floats, push: Floats
    ) -> tuple[Floats, Floats]:
        """See `Mechanics`."""
        rest = np.zeros_like(angle)
        state = np.stack([rest, rest, angle, rotation], axis=-1)
        change = self.problem.transition(state, wind, push) - state
        return change[..., 1], change[..., 3]

    def leader_reward(self, position: Floats) -> Floats:
        """See `Mechanics`."""
        return self.problem.leader_reward(position[..., None])
