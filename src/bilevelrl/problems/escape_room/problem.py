"""EscapeRoom, ER(N, M): a door that opens while M of N players pull a lever.

Source: Yang et al., Learning to Incentivize Other Learning Agents, NeurIPS 2020 (arXiv 2006.06051),
where the players pay one another. Here a leader pays them.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.stochastic_game import (
    LARGEST_TABLE,
    StochasticGame,
    actions_of,
)

POSITION_NAMES = ("lever", "start", "door")
LEVER, START, DOOR = range(3)
#: Whose payments, N · 3^N numbers, are no larger than a table may be, and whose transitions, 27^N.
MOST_PLAYERS = max(n for n in range(2, 40) if n * 3**n <= LARGEST_TABLE)
MOST_IN_A_GAME = max(n for n in range(2, 40) if 27**n <= LARGEST_TABLE)


def require_arrays(players: int) -> None:
    """That so many players have a game as arrays.

    Raises:
        ValueError: if they do not, because it has 27^N transitions.
    """
    if players > MOST_IN_A_GAME:
        raise ValueError(
            f"players = {players}: a game as arrays has 27**players transitions, allowed are 2 to "
            f"{MOST_IN_A_GAME} players"
        )


@dataclass(frozen=True)
class EscapeRoom:
    """The rules; a player's action is the position that it goes to, or stays at.

    All move at once. Players who go to the lever, or stay there, pull it. If at least
    `levers_needed` pull, the players who choose the door get `door_reward`, nothing is charged for
    their move, and the episode ends for all. Any other change of position costs `move_cost`,
    staying costs nothing. Without payments the players together get at most
    door_reward (N - M) - move_cost M: M pull at once, and the others leave.

    Attributes:
        players: N.
        levers_needed: M, below N.
        door_reward: to each player who leaves.
        move_cost: of any other change of position.
        max_episode_steps: H.

    Raises:
        ValueError: if there are too few players or too many, or M does not leave anybody for the
            door.
    """

    players: int
    levers_needed: int
    door_reward: float = 10.0
    move_cost: float = 1.0
    max_episode_steps: int = 5

    def __post_init__(self) -> None:
        if self.players < 2:
            raise ValueError(f"players = {self.players}: at least 2 are needed")
        if self.players > MOST_PLAYERS:
            raise ValueError(
                f"players = {self.players}: allowed are 2 to {MOST_PLAYERS}, because there are "
                "3**players states"
            )
        if not 1 <= self.levers_needed < self.players:
            raise ValueError(
                f"levers_needed = {self.levers_needed}: allowed is 1 to players - 1 = "
                f"{self.players - 1}"
            )
        for name in ("door_reward", "move_cost"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: it must be at least 0 and finite"
                )
        if self.max_episode_steps < 1:
            raise ValueError(f"max_episode_steps = {self.max_episode_steps}: at least 1 is needed")

    @property
    def best_total(self) -> float:
        """What the players can get together at most, if nothing is left to chance."""
        leaving = self.players - self.levers_needed
        return self.door_reward * leaving - self.move_cost * self.levers_needed

    @property
    def positions(self) -> Index:
        """Of all players in every state, shape (3^N, N), the last player's changing fastest."""
        return actions_of(self.players, len(POSITION_NAMES))

    @property
    def initial_state(self) -> int:
        """All at the start."""
        return sum(START * len(POSITION_NAMES) ** i for i in range(self.players))

    def step(self, positions: Index, actions: Index) -> tuple[Floats, bool]:
        """Every player's reward, shape (N,), and whether the episode is over, from both (N,)."""
        opened = bool((actions == LEVER).sum() >= self.levers_needed)
        leaves = opened & (actions == DOOR)
        reward = np.where(actions != positions, -self.move_cost, 0.0)
        return np.where(leaves, self.door_reward, reward), bool(leaves.any())

    def game(self, discount: float) -> StochasticGame:
        """As arrays; the leader's reward is what all players get, discounted as they do.

        Raises:
            ValueError: if there are too many players for arrays, which have 27^N transitions.
        """
        require_arrays(self.players)
        positions = self.positions
        states = joint = len(positions)
        transition = np.zeros((states, joint, states))
        reward = np.zeros((self.players, states, joint))
        for s, here in enumerate(positions):
            for a, actions in enumerate(positions):
                reward[:, s, a], over = self.step(here, actions)
                transition[s, a, a] = 0.0 if over else 1.0
        initial = np.zeros(states)
        initial[self.initial_state] = 1.0
        sizes = len(POSITION_NAMES), self.max_episode_steps
        return StochasticGame(
            transition, reward, reward.sum(axis=0), initial, *sizes, discount, discount
        )

    def payments(self, highest: float, cost: float) -> Payments:
        """The leader pays any player for pulling, an amount for every state: D = N · 3^N."""
        states = 3**self.players
        player, state = np.divmod(np.arange(self.players * states), states)
        return Payments(player, state, np.full_like(player, LEVER), highest, cost)
