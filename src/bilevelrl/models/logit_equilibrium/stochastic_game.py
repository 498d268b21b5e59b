"""A stochastic game of named players: finitely many states, simultaneous moves, a last step."""

import math
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index

#: Numbers in a table that grows with a power of the number of players, at most: 128 MiB.
LARGEST_TABLE = 2**24


@dataclass(frozen=True)
class Sizes:
    """What everybody knows of a stochastic game, see `StochasticGame`.

    Attributes:
        num_players: N.
        num_states: S.
        num_actions: A.
        leader_discount: γ_L.
        follower_discount: γ_F.
    """

    num_players: int
    num_states: int
    num_actions: int
    leader_discount: float
    follower_discount: float

    @property
    def actions(self) -> Index:
        """The players' actions in every joint one, shape (A^N, N)."""
        return actions_of(self.num_players, self.num_actions)


@dataclass(frozen=True, eq=False)
class StochasticGame:
    """N >= 2 players with A actions each, S states, and H steps; a leader looks on.

    A joint action is a number below A^N whose digits to the base A are the players' actions, the
    first player's first; see `actions_of`. Time is an index of policies and values, no part of the
    state. What a row of `transition` lacks to 1 is the probability that the episode ends there.

    Attributes:
        transition: p(s' | s, a), shape (S, A^N, S).
        reward: of every player, without what the leader pays, shape (N, S, A^N).
        leader_reward: of the leader, without what it pays, shape (S, A^N).
        initial: of the first state, shape (S,).
        num_actions: A.
        max_episode_steps: H.
        leader_discount: γ_L, at most 1.
        follower_discount: γ_F of all players, at most 1.

    Raises:
        ValueError: if shapes do not fit, or probabilities are none.
    """

    transition: Floats
    reward: Floats
    leader_reward: Floats
    initial: Floats
    num_actions: int
    max_episode_steps: int
    leader_discount: float = 1.0
    follower_discount: float = 1.0

    def __post_init__(self) -> None:
        players, states = self.reward.shape[0], self.reward.shape[1]
        joint = self.num_actions**players
        if players < 2 or self.num_actions < 2:
            raise ValueError(
                f"{players} players with {self.num_actions} actions: at least 2 of both are needed"
            )
        if self.max_episode_steps < 1:
            raise ValueError(f"max_episode_steps = {self.max_episode_steps}: at least 1 is needed")
        for name, shape in (
            ("transition", (states, joint, states)),
            ("reward", (players, states, joint)),
            ("leader_reward", (states, joint)),
            ("initial", (states,)),
        ):
            array = getattr(self, name)
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}: {shape} is needed")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite everywhere")
        if self.transition.min() < 0.0 or self.transition.sum(axis=2).max() > 1.0 + 1e-12:
            raise ValueError("transition: rows must be at least 0 and add up to at most 1")
        if self.initial.min() < 0.0 or abs(self.initial.sum() - 1.0) > 1e-12:
            raise ValueError("initial: it must be at least 0 and add up to 1")
        for name in ("leader_discount", "follower_discount"):
            discount = getattr(self, name)
            if not 0.0 < discount <= 1.0:
                raise ValueError(f"{name} = {discount}: allowed is above 0 and at most 1")

    @property
    def num_players(self) -> int:
        """N."""
        return len(self.reward)

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.initial)

    @property
    def actions(self) -> Index:
        """The players' actions in every joint one, shape (A^N, N)."""
        return actions_of(self.num_players, self.num_actions)

    @property
    def sizes(self) -> Sizes:
        """What a leader that only watches is told of it."""
        return Sizes(
            self.num_players, self.num_states, self.num_actions,
            self.leader_discount, self.follower_discount,
        )  # fmt: skip


def actions_of(num_players: int, num_actions: int) -> Index:
    """Every joint action as the players' own ones, shape (A^N, N), the last changing fastest.

    Raises:
        ValueError: if that is more than `LARGEST_TABLE` numbers.
    """
    if num_players * math.log(num_actions) + math.log(num_players) > math.log(LARGEST_TABLE):
        raise ValueError(
            f"num_players = {num_players} with num_actions = {num_actions}: the joint actions are "
            f"num_players * num_actions**num_players numbers, allowed are {LARGEST_TABLE:,}"
        )
    digits = np.indices((num_actions,) * num_players).reshape(num_players, -1).T
    return np.ascontiguousarray(digits, dtype=np.int64)
