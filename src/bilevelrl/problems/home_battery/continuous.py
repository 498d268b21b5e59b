"""Actions that are continuous, and what the game on the grid makes of them.

An agent chooses u in [-1, 1]. Every u is one of the game's actions, so that a policy over u is a
policy of the game: its probability of an action is that of the u that stand for it.

"cut": u asks for `power` · u kWh. What the battery cannot do is cut to the nearest that it can, and
the rest is rounded to the nearest action. "scaled": the actions that are possible at a charge share
[-1, 1] evenly, from the one that discharges most to the one that charges most.

The game counts every possible action once. The entropy of a density over u counts an action by the
width w of the u that stand for it; where a battery is full or empty, half of all u may be cut to
the same one. A soft-optimal density gives an action the weight w exp(Q / β). With `log_width`,
β log(w / w₀), taken off the reward, it is exp(Q / β): the soft-optimal policy is the game's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.problems.home_battery.grid import Grid

Limits = Literal["cut", "scaled"]


@dataclass(frozen=True, eq=False)
class ContinuousActions:
    """What u in [-1, 1] stands for at every charge.

    Attributes:
        grid: the game; the actions that are possible at a charge lie side by side.
        limits: what u means where the battery's bounds are near: "cut" or "scaled".

    Raises:
        ValueError: if `limits` is neither.
    """

    grid: Grid
    limits: Limits

    def __post_init__(self) -> None:
        if self.limits not in ("cut", "scaled"):
            raise ValueError(f"limits must be 'cut' or 'scaled', got {self.limits!r}")

    @cached_property
    def _last(self) -> Index:
        allowed = self.grid.allowed
        last: Index = allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1)
        return last

    @cached_property
    def edges(self) -> Floats:
        """Action j stands between edges j and j + 1, shape (C, A + 1), from -1 to 1."""
        allowed = self.grid.allowed
        num_charges, num_actions = allowed.shape
        if self.limits == "scaled":
            below = np.zeros((num_charges, num_actions + 1))
            below[:, 1:] = allowed.cumsum(axis=1)
            shares: Floats = 2.0 * below / below[:, -1:] - 1.0
            return shares
        action = self.grid.action / self.grid.action[-1]
        between = np.concatenate([[-1.0], 0.5 * (action[1:] + action[:-1]), [1.0]])
        first = allowed.argmax(axis=1)[:, None]
        place = np.arange(num_actions + 1)
        return np.where(place <= first, -1.0, np.where(place > self._last[:, None], 1.0, between))

    @cached_property
    def log_width(self) -> Floats:
        """log(w / w₀), w₀ being 2 / A, shape (C, A); 0 where an action is refused."""
        allowed = self.grid.allowed
        width = np.diff(self.edges, axis=1) * (0.5 * allowed.shape[1])
        logs: Floats = np.log(np.where(allowed, width, 1.0))
        return logs

    @cached_property
    def _raw_edges(self) -> Floats:
        with np.errstate(divide="ignore"):  # of -1 and 1
            raw: Floats = np.arctanh(self.edges)
        return raw

    def chosen(self, charge: Index, action: NDArray[np.float32]) -> Index:
        """Places of the actions that u (N,) stand for at the nodes `charge` (N,)."""
        places: Index = (self.edges[charge, 1:-1] <= action[:, None]).sum(axis=1)
        # At u = 1 every edge lies below, those of refused actions too.
        reachable: Index = np.minimum(places, self._last[charge])
        return reachable

    def probabilities(self, mean: Floats, deviation: Floats) -> Floats:
        """π(a | h, c), shape (..., C, A), of u = tanh(x), x normal with such moments, (..., C)."""
        below = ndtr((self._raw_edges - mean[..., None]) / deviation[..., None])
        probability: Floats = np.diff(below, axis=-1)
        return probability
