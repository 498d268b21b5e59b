"""Batches of transitions where states and actions are finitely many, for all runs at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions of R runs in E environments over T steps, each array of shape (R, E, T).

    Attributes:
        state: s_k.
        action: the action that the follower chose (a slip changes the move, not this).
        following: s_{k+1} before any reset.
        time: steps since the episode started, 0, 1, ...
        terminated: the episode ended here by reaching a terminal state.
        truncated: the step limit cut the episode here.
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
        leader_reward: r_L.
        follower_reward: r_F without the bonus for entropy; None where the leader does not see it.
    """

    leader_reward: Floats
    follower_reward: Floats | None = None
