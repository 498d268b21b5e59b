"""What a leader pays players for what they do: bounded, and differentiable in θ."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index


@dataclass(frozen=True, eq=False)
class Payments:
    """A player gets highest · σ(θ_d) for one action in one state, d for each such place.

    Attributes:
        player: of each place, shape (D,).
        state: likewise.
        action: likewise, the player's own.
        highest: payment that θ never reaches.
        cost: what a payment of 1 takes from the leader's own return; 0 where the leader counts
            the players' payments as theirs, so that they cancel.

    Raises:
        ValueError: if a place comes twice, or a number is impossible.
    """

    player: Index
    state: Index
    action: Index
    highest: float
    cost: float = 0.0

    def __post_init__(self) -> None:
        places = np.stack([self.player, self.state, self.action], axis=1)
        if len(places) == 0 or len(np.unique(places, axis=0)) < len(places):
            raise ValueError("payments: some places are needed, each once")
        if not 0.0 < self.highest < np.inf:
            raise ValueError(f"highest = {self.highest}: it must be positive and finite")
        if not 0.0 <= self.cost < np.inf:
            raise ValueError(f"cost = {self.cost}: it must be at least 0 and finite")

    @property
    def num_parameters(self) -> int:
        """D."""
        return len(self.player)

    def amounts(self, theta: Floats) -> Floats:
        """What each place pays under θ, both (R, D)."""
        paid: Floats = 0.5 * self.highest * (1.0 + np.tanh(0.5 * theta))
        return paid

    def table(self, theta: Floats, shape: tuple[int, int, int]) -> Floats:
        """Payments by player, state and own action, shape (R, N, S, A), `shape` being the last."""
        table = np.zeros((len(theta), *shape))
        table[:, self.player, self.state, self.action] = self.amounts(theta)
        return table

    def pulled_back(self, theta: Floats, of_payments: Floats) -> Floats:
        """Derivatives for θ, shape (R, D), from those for all payments, (R, N, S, A)."""
        amounts = self.amounts(theta)
        slope = amounts * (1.0 - amounts / self.highest)
        own: Floats = of_payments[:, self.player, self.state, self.action]
        return own * slope
