"""Batches of transitions where states and actions are finitely many, for all runs at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions of R runs in E environments over T steps.

    Attributes:
        state: s_k, shape (R, E, T).
        action: the action that the follower chose (a slip changes the move, not this), shape (R,
            E, T).
        following: s_{k+1} before any reset, shape (R, E, T).
        time: steps since the episode started, 0, 1, ..., shape (R, E, T).
        terminated: the episode ended here by reaching a terminal state, shape (R, E, T).
        truncated: the step limit cut the episode here, shape (R, E, T).
    """

    state: NDArray[np.int16]
    action: NDArray[np.int8]
    following: NDArray[np.int16]
    time: NDArray[np.int16]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TabularObservations(Batch):
    """A batch as a leader sees it; see `core.observations` for what it may see.

    Attributes:
        leader_reward: r_L of every transition, shape (R, E, T).
        follower_reward: r_F of every transition without the bonus for entropy, shape (R, E, T);
            None where the leader does not see it.
    """

    leader_reward: Floats
    follower_reward: Floats | None = None
