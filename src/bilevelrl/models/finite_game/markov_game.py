"""Finite games in which leader and follower both act, the follower after seeing the leader."""

from dataclasses import dataclass, fields

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import soft_bonus
from bilevelrl.models.finite_game.kernels import evaluate_all


@dataclass(frozen=True)
class GameSizes:
    """What a leader that only watches knows of a game: how many states and actions, how long.

    Attributes:
        num_states: S.
        num_leader_actions: A.
        num_follower_actions: B.
        leader_discount: γ_L in [0, 1].
        follower_discount: γ_F in [0, 1).
        max_episode_steps: H.
    """

    num_states: int
    num_leader_actions: int
    num_follower_actions: int
    leader_discount: float
    follower_discount: float
    max_episode_steps: int


@dataclass(frozen=True, eq=False)
class MarkovGame:
    """One game: in state s the leader draws a ~ f(a | s), the follower sees a and draws b.

    Episodes end after `max_episode_steps` transitions and never before; the follower plans as if
    they did not end.

    Attributes:
        transition: P(s' | s, a, b), shape (S, A, B, S); the last axis sums to one.
        follower_reward: r_F(s, a, b), shape (S, A, B).
        leader_reward: r_L(s, a, b), shape (S, A, B).
        initial: distribution of the first state, shape (S,).
        leader_discount, follower_discount, max_episode_steps: as of `GameSizes`.
    """

    transition: Floats
    follower_reward: Floats
    leader_reward: Floats
    initial: Floats
    leader_discount: float
    follower_discount: float
    max_episode_steps: int

    def __post_init__(self) -> None:
        """Check all of it; arrays are converted to contiguous float64.

        Raises:
            ValueError: if shapes disagree, something is not finite or no distribution, or a
                discount or the length of an episode is impossible.
        """
        for name in ("transition", "follower_reward", "leader_reward", "initial"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
            object.__setattr__(self, name, array)
        if self.transition.ndim != 4 or self.transition.shape[0] != self.transition.shape[3]:
            raise ValueError(f"transition must be (S, A, B, S), got {self.transition.shape}")
        shape = self.transition.shape[:3]
        if self.follower_reward.shape != shape or self.leader_reward.shape != shape:
            raise ValueError(
                f"rewards must have shape {shape} to match transition, got "
                f"{self.follower_reward.shape} (follower) and {self.leader_reward.shape} (leader)"
            )
        if self.initial.shape != shape[:1]:
            raise ValueError(f"initial must have shape {shape[:1]}, got {self.initial.shape}")
        _check_distributions("transition", self.transition)
        _check_distributions("initial", self.initial)
        if not 0.0 <= self.leader_discount <= 1.0:
            raise ValueError(f"leader_discount must lie in [0, 1], got {self.leader_discount}")
        if not 0.0 <= self.follower_discount < 1.0:
            raise ValueError(f"follower_discount must lie in [0, 1), got {self.follower_discount}")
        if self.max_episode_steps < 1:
            raise ValueError(f"max_episode_steps must be positive, got {self.max_episode_steps}")

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.transition)

    @property
    def num_leader_actions(self) -> int:
        """A."""
        return len(self.transition[0])

    @property
    def num_follower_actions(self) -> int:
        """B."""
        return len(self.transition[0, 0])

    @property
    def sizes(self) -> GameSizes:
        """What does not tell how the game is played."""
        return GameSizes(**{each.name: getattr(self, each.name) for each in fields(GameSizes)})

    def checked_leader_policy(self, policy: Floats) -> Floats:
        """The same f(a | s), shape (R, S, A), contiguous.

        Raises:
            ValueError: if the shape is another, or a row is not a distribution.
        """
        return _checked_policy("leader_policy", policy, self.transition.shape[:2])

    def checked_follower_policy(self, policy: Floats) -> Floats:
        """The same π(b | s, a), shape (R, S, A, B), contiguous; raises as for the leader's."""
        return _checked_policy("follower_policy", policy, self.transition.shape[:3])


def _check_distributions(name: str, table: Floats) -> None:
    # Written so that NaN fails.
    if not (table.min() >= 0.0 and np.abs(table.sum(axis=-1) - 1.0).max() <= 1e-9):
        raise ValueError(f"{name} must be non-negative and sum to one over its last axis")


def _checked_policy(name: str, policy: Floats, shape: tuple[int, ...]) -> Floats:
    if policy.shape[1:] != shape or not len(policy):
        raise ValueError(f"{name} must have shape (R, *{shape}), got {policy.shape}")
    _check_distributions(name, policy)
    return np.ascontiguousarray(policy, dtype=np.float64)


def num_value_rows(discount: float, horizon: int | None) -> int:
    """Rows that `fill_values` needs.

    Raises:
        ValueError: if the horizon is not positive, or infinite (None) without discounting.
    """
    if horizon is None:
        if not 0.0 <= discount < 1.0:
            raise ValueError(f"an infinite horizon needs a discount in [0, 1), got {discount}")
        return 1
    if horizon < 1:
        raise ValueError(f"horizon must be positive or None, got {horizon}")
    return horizon + 1


def _chain_and_values(
    game: MarkovGame, leader: Floats, follower: Floats, discount: float, horizon: int | None
) -> tuple[Floats, Floats]:
    leader = game.checked_leader_policy(leader)
    follower = game.checked_follower_policy(follower)
    if len(leader) != len(follower):
        raise ValueError(f"{len(leader)} leader policies but {len(follower)} follower policies")
    value = np.empty((len(leader), num_value_rows(discount, horizon), game.num_states))
    chain = np.empty((len(leader), game.num_states, game.num_states))
    evaluate_all(game.transition, game.leader_reward, leader, follower, discount, chain, value)
    return chain, value


def state_chain(game: MarkovGame, leader_policy: Floats, follower_policy: Floats) -> Floats:
    """P(s' | s) under both policies, shape (R, S, S)."""
    return _chain_and_values(game, leader_policy, follower_policy, 0.0, None)[0]


def leader_return(
    game: MarkovGame,
    leader_policy: Floats,
    follower_policy: Floats,
    *,
    discount: float,
    horizon: int | None,
) -> Floats:
    """J = E[Σ_{t<H} γ^t r_L(s_t, a_t, b_t)] from the initial distribution, shape (R,).

    For f(a | s), shape (R, S, A), and π(b | s, a), shape (R, S, A, B). γ is `discount`, up to 1 if
    H, the `horizon`, is finite; None is an episode that never ends.

    Raises:
        ValueError: if a policy has the wrong shape or is none, or J would not be finite.
    """
    _, value = _chain_and_values(game, leader_policy, follower_policy, discount, horizon)
    return np.array([game.initial @ first for first in value[:, 0]])


def follower_soft_return(
    game: MarkovGame, leader_policy: Floats, follower_policy: Floats, temperature: Floats
) -> Floats:
    """E[Σ_t γ_F^t (r_F - β log π)] without end, of policies as in `leader_return`, shape (R,).

    Raises:
        ValueError: if a policy has the wrong shape or is none.
    """
    chain = state_chain(game, leader_policy, follower_policy)
    bonus = soft_bonus(follower_policy, temperature[:, None, None, None])
    weight = leader_policy[..., None] * follower_policy
    earned = (weight * (game.follower_reward + bonus)).sum(axis=(2, 3))
    matrix = np.eye(game.num_states) - game.follower_discount * chain
    value = np.linalg.solve(matrix, earned[..., None])
    return np.array([game.initial @ v for v in value[..., 0]])
