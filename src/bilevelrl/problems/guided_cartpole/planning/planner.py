"""The game on the grid: what a leader does in it, where mass goes, and what values are expected."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning.grid import (
    GridParams,
    Singles,
    Stencils,
    stencils,
)
from bilevelrl.problems.guided_cartpole.planning.mechanics import Mechanics
from bilevelrl.problems.guided_cartpole.planning.movement import (
    expect,
    push_forward,
    roll,
    roll_back,
)
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.view import scaled

Spans = NDArray[np.int64]


class Planner:
    """One cart and pole, as a planner sees them, with leaders and followers of all kinds.

    Attributes:
        grid: nodes, and steps that lead away from them.
        blurred: the same with linear interpolation.
        blocks: (K, L).
        size: N, nodes of a block.
        windows: M J, see `movement`.
        everywhere: all nodes of all blocks, shape (K, L, 2), see `movement.expect`.
    """

    def __init__(
        self, mechanics: Mechanics, policy: ModulePolicy, winds: Floats, params: GridParams
    ) -> None:
        """For leaders of the `policy` that choose from `winds`, shape (A,)."""
        self.mechanics, self.policy, self.winds = mechanics, policy, winds
        self.params = params
        self.grid: Stencils = stencils(mechanics, winds, params)
        self.blurred: Stencils = stencils(mechanics, winds, params, cubic=False)
        self._states = scaled(self.grid.states)
        angles, rotations, speeds, places = self.grid.shape
        self.blocks, self.size = (angles, rotations), speeds * places
        self.windows = self.grid.geometry.num_m * self.grid.geometry.num_j
        self.everywhere: Spans = np.tile([0, self.size], (*self.blocks, 1))

    def leader(self, theta: Floats) -> Singles:
        """f(w | s), shape (K, L, A, N), of θ, shape (D,)."""
        chosen = self.policy.probabilities(theta, self._states)
        blocks = chosen.reshape(*self.blocks, self.size, -1).transpose(0, 1, 3, 2)
        return np.ascontiguousarray(blocks, np.float32)

    def pull_back(self, theta: Floats, leader: Singles, weights: Singles | Floats) -> Floats:
        """Σ_s Σ_w f(w | s) c(s, w) ∇_θ log f(w | s), shape (D,), for c (K, L, A, N)."""
        centred = weights - (leader * weights).sum(axis=2, keepdims=True)
        rows = (leader * centred).transpose(0, 1, 3, 2).reshape(1, len(self._states), -1)
        gradient: Floats = self.policy.pull_back(theta, self._states, rows.astype(np.float64))[0]
        return gradient

    def rolled(self, values: Singles) -> Singles:
        """See `movement.roll`, of values (K, L, N)."""
        geometry, (angles, rotations, speeds, _) = self.grid.geometry, self.grid.shape
        out = np.empty((angles + 4, rotations, geometry.num_j, self.size), np.float32)
        roll(values, geometry, speeds, out)
        return out

    def expected(
        self,
        values: Singles,
        chain: Singles,
        grid: Stencils | None = None,
    ) -> Singles:
        """E[v(s')], shape (K, L, N)."""
        out = np.empty_like(values)
        expect(self.rolled(values), chain, self.everywhere, (grid or self.grid).geometry, out)
        return out

    def pushed(self, mass: Singles, chain: Singles, least: float = 0.0) -> Singles:
        """Where mass (K, L, N) goes in a step, see `movement.push_forward`."""
        geometry, (angles, rotations, speeds, _) = self.grid.geometry, self.grid.shape
        wide = (angles + 4, rotations, geometry.num_j, self.size)
        rolled = np.empty(wide, np.float32)
        push_forward(mass, chain, np.float32(least), geometry, rolled)
        out = np.empty_like(mass)
        roll_back(rolled, geometry, speeds, out)
        return out
