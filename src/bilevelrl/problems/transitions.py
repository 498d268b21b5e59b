"""Batches of a game in which both players act: equally long episodes, one after the other."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Transitions:
    """N transitions of each of R runs.

    States and actions are numbers in a finite game, shape (R, N), and vectors otherwise, shape (R,
    N, n). Straight from a simulator, N is a whole number of episodes, each of `horizon` steps.

    Attributes:
        state: s.
        leader_action: a.
        follower_action: b.
        next_state: s'.
        reward: the leader's, r_L, shape (R, N).
    """

    state: NDArray[Any]
    leader_action: NDArray[Any]
    follower_action: NDArray[Any]
    next_state: NDArray[Any]
    reward: Floats

    def take(self, index: Index) -> "Transitions":
        """Those at `index`, shape (R, n)."""
        run = np.arange(len(index))[:, None]
        return Transitions(**{name: array[run, index] for name, array in self._arrays().items()})

    def first(self, number: int) -> "Transitions":
        """The first `number`, without copying."""
        return Transitions(**{name: array[:, :number] for name, array in self._arrays().items()})

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def storage(self, capacity: int) -> "Transitions":
        """Room for `capacity` transitions per run, like these."""
        return Transitions(
            **{
                name: np.zeros((len(array), capacity, *array.shape[2:]), array.dtype)
                for name, array in self._arrays().items()
            }
        )

    def write(self, batch: "Transitions", start: int) -> None:
        """Overwrite the transitions from `start` on with `batch`."""
        new = batch._arrays()
        for name, array in self._arrays().items():
            array[:, start : start + new[name].shape[1]] = new[name]


def discounted_return(reward: Floats, horizon: int, discount: float) -> Floats:
    """Mean over episodes of Σ_t γ^t r_L, shape (R,), from rewards (R, N) of whole episodes."""
    discounts = np.power(discount, np.arange(horizon, dtype=np.float64))
    by_time = reward.reshape(len(reward), -1, horizon).mean(axis=1)
    total: Floats = (by_time * discounts).sum(axis=1)
    return total
