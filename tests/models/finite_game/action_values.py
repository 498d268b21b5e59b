"""The leader's true action values in a finite game: what critics are compared with."""

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.models.finite_game.kernels import look_ahead
from bilevelrl.models.finite_game.markov_game import MarkovGame, _chain_and_values

Floats = NDArray[np.float64]


@parallel_kernel
def look_ahead_all(transition, reward, discount, value, table):  # type: ignore[no-untyped-def]
    """`look_ahead` for every run and step, from values (R, H, S) to tables (R, H, S, A, B)."""
    for r in numba.prange(len(value)):
        for t in range(value.shape[1]):
            look_ahead(transition, reward, discount, value[r, t], table[r, t])


def leader_action_values(
    game: MarkovGame,
    leader_policy: Floats,
    follower_policy: Floats,
    *,
    discount: float,
    horizon: int,
) -> Floats:
    """Q_L(s, a, b) after t steps of an episode of H steps.

    Args:
        game: the finite game.
        leader_policy: f(a | s), shape (R, S, A).
        follower_policy: π(b | s, a), shape (R, S, A, B).
        discount: γ of the leader's return, up to 1.
        horizon: H.

    Returns:
        Shape (R, H, S, A, B); entry t of axis 1 has H - t steps to go, this one included.

    Raises:
        ValueError: if a policy has the wrong shape or is none, or the horizon is not positive.
    """
    _, value = _chain_and_values(game, leader_policy, follower_policy, discount, horizon)
    table = np.empty((len(value), horizon, *game.leader_reward.shape))
    look_ahead_all(game.transition, game.leader_reward, discount, value[:, 1:], table)
    return table


def stationary_leader_action_values(
    game: MarkovGame, leader_policy: Floats, follower_policy: Floats, *, discount: float
) -> Floats:
    """Q_L(s, a, b) if episodes never ended, shape (R, S, A, B); raises unless discount < 1."""
    _, value = _chain_and_values(game, leader_policy, follower_policy, discount, None)
    table = np.empty((len(value), *game.leader_reward.shape))
    look_ahead_all(game.transition, game.leader_reward, discount, value, table[:, None])
    return table
