"""The follower's soft best response, J and its hypergradient, all in the game on the grid.

    V_F(s, w) = r_F + β log ∫ exp(γ_F v_F(s') / β) du,   v_F(s) = Σ_w f(w|s) V_F(s, w)

is solved by soft policy iteration, policies evaluated by a few steps of GMRES. With the occupancy
μ_t of an episode of T steps, A_L = Q_L(s, w, u) - E_u Q_L, and ν, the γ_F-discounted flow of all
that (γ_F / β) Σ_t γ_L^t μ_t f π A_L leads to,

    dJ/dθ = Σ_t γ_L^t Σ_s μ_t(s) Σ_w ∇f(w|s) Q_L(s, w)  +  Σ_s ν(s) Σ_w ∇f(w|s) V_F(s, w).

The game on the grid is a game of its own, so that both terms are exact in it; how far it is from
the problem, two grids tell (docs/results/guided_cartpole.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning.grid import (
    Flags,
    GridParams,
    Singles,
    Stencils,
    stencils,
)
from bilevelrl.problems.guided_cartpole.planning.kernels import (
    expect,
    expect_and_meet,
    push_forward,
    roll,
    roll_back,
    soft_backup,
    spread_chain,
)
from bilevelrl.problems.guided_cartpole.planning.mechanics import Mechanics
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.view import scaled

#: Steps of GMRES per policy iteration, and most of these.
_SWEEPS, _MOST_ITERATIONS = 8, 100
#: What v_F may be above the one with linear interpolation, as a share of the largest thinkable.
_MORE = 0.1
#: And for ν, with the accuracy at which it stops.
_FLOW_SWEEPS, _FLOW_ACCURACY = 80, 1e-3
#: Probability of a state below which a block of states is not followed any further.
_NEGLIGIBLE = 1e-8


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What the follower plays against one θ, on the grid.

    Attributes:
        leader: f(w | s), shape (K, L, A, N).
        value: v_F, shape (K, L, N).
        expected: V_F(s, w), shape (K, L, A, N).
        policy: π(u | s, w) of the pushes that stand for an interval each, shape (K, L, A U, N).
        chain: see `kernels.soft_backup`.
        residual: largest change of v_F by one more backup.
    """

    leader: Singles
    value: Singles
    expected: Singles
    policy: Singles
    chain: Singles
    residual: float


@dataclass(frozen=True, eq=False)
class Planned:
    """J and its gradient on the grid at one θ.

    Attributes:
        leader_return: J over an episode.
        direct: through the leader's own policy, shape (D,).
        indirect: through the follower's best response, shape (D,).
        follower_value: v_F where episodes start.
    """

    leader_return: float
    direct: Floats
    indirect: Floats
    follower_value: float


class Planner:
    """One cart and pole, as a planner sees them, with leaders and followers of all kinds."""

    def __init__(
        self, mechanics: Mechanics, policy: ModulePolicy, winds: Floats, params: GridParams
    ) -> None:
        """For leaders of the `policy` that choose from `winds`, shape (A,)."""
        self.mechanics, self.policy, self.winds = mechanics, policy, winds
        self.params = params
        self.grid: Stencils = stencils(mechanics, winds, params)
        self._linear: Stencils = stencils(mechanics, winds, params, cubic=False)
        self._states = scaled(self.grid.states)
        angles, rotations, speeds, places = self.grid.shape
        self.blocks, self.size = (angles, rotations), speeds * places
        self._windows = self.grid.geometry.num_m * self.grid.geometry.num_j

    def best_response(
        self, theta: Floats, temperature: float, discount: float, guess: Singles | None = None
    ) -> BestResponse:
        """The soft best response to θ, shape (D,), from a guess of v_F, shape (K, L, N).

        Cubic interpolation overshoots beside jumps, and a follower that maximises would go there.
        Linear interpolation does not: no value is believed that is `_MORE` above what that finds.
        """
        leader = self._leader(theta)
        task = leader, temperature, discount
        most = self.mechanics.follower_reward + temperature * np.log(2.0)
        cap = most / (1.0 - discount)
        value = np.full((*self.blocks, self.size), 0.5 * cap, np.float32)
        if guess is not None and guess.shape == value.shape:
            value = guess
        blurred = self._solved(self._linear, value, np.full_like(value, cap), *task).value
        least = np.minimum(blurred + np.float32(_MORE * cap), np.float32(cap))
        return self._solved(self.grid, blurred if guess is None else value, least, *task)

    def _solved(
        self,
        grid: Stencils,
        value: Singles,
        cap: Singles,
        leader: Singles,
        temperature: float,
        discount: float,
    ) -> BestResponse:
        many, windows = (
            len(self.winds) * len(grid.pushes),
            grid.geometry.num_m * grid.geometry.num_j,
        )
        backed = np.empty_like(value)
        expected = np.empty_like(leader)
        policy = np.empty((*self.blocks, many, self.size), np.float32)
        chain = np.empty((*self.blocks, windows, self.size), np.float32)
        everywhere = np.ones(self.blocks, dtype=np.bool_)
        for _ in range(_MOST_ITERATIONS):
            soft_backup(
                self._rolled(value), leader, grid.base, grid.kick_weight, grid.push_weight,
                np.float32(self.mechanics.follower_reward), np.float32(temperature),
                np.float32(discount), cap, grid.geometry, backed, expected, policy, chain,
            )  # fmt: skip
            change = backed - value
            residual = float(np.abs(change).max())
            if residual < self.params.tolerance:
                break

            def still_missing(of: Singles) -> Singles:
                return of - np.float32(discount) * self._expected(of, chain, everywhere, grid)

            value = value + _gmres(still_missing, change, _SWEEPS, 0.0)
        return BestResponse(leader, value, expected, policy, chain, residual)

    def plan(
        self,
        theta: Floats,
        response: BestResponse,
        temperature: float,
        discounts: tuple[float, float],
        horizon: int,
        *,
        indirect: bool = True,
    ) -> Planned:
        """J and its hypergradient at θ, shape (D,), for (γ_L, γ_F) and episodes of T steps.

        Without `indirect` that term is left out, and zeros stand for it.
        """
        grid, (gamma, follower_gamma) = self.grid, discounts
        chain, leader = response.chain, response.leader
        occupancy, visited = self._occupancy(chain, horizon)
        paid = grid.reward * visited[:, :, None]
        value = np.zeros((*self.blocks, self.size), np.float32)  # of the leader, from t on
        ahead, met = np.empty_like(value), np.zeros_like(chain)
        for t in range(horizon - 1, -1, -1):
            expect_and_meet(
                self._rolled(value), chain, occupancy[t], np.float32(gamma ** (t + 1)), visited,
                grid.geometry, ahead, met,
            )  # fmt: skip
            value = paid + np.float32(gamma) * ahead
        alive = grid.geometry.alive
        per_outcome = self._outcomes(met) * alive[:, :, None, None]  # Σ_t γ^t μ_t Q_L, but for r_L
        shape = (*self.blocks, len(self.winds), len(grid.pushes), self.size)
        policy = response.policy.reshape(shape)
        mean = (policy * per_outcome).sum(axis=3)
        direct = self._pull_back(theta, leader, mean)
        total, flown = float(np.vdot(grid.start, value)), np.zeros_like(direct)
        if indirect:
            injected = policy * (per_outcome - mean[:, :, :, None])
            scale = np.float32(follower_gamma / temperature)
            first = self._moved(injected.reshape(response.policy.shape) * scale, leader)

            def not_yet(of: Singles) -> Singles:
                return of - np.float32(follower_gamma) * self._pushed(of, chain, 0.0)

            flow = _gmres(not_yet, first, _FLOW_SWEEPS, _FLOW_ACCURACY)
            flown = self._pull_back(theta, leader, response.expected * flow[:, :, None])
        follower_value = float(np.vdot(grid.start, response.value))
        return Planned(total, direct, flown, follower_value)

    def _leader(self, theta: Floats) -> Singles:
        chosen = self.policy.probabilities(theta, self._states)
        blocks = chosen.reshape(*self.blocks, self.size, -1).transpose(0, 1, 3, 2)
        return np.ascontiguousarray(blocks, np.float32)

    def _pull_back(self, theta: Floats, leader: Singles, weights: Singles) -> Floats:
        """Σ_s Σ_w f(w | s) c(s, w) ∇_θ log f(w | s), shape (D,), for c (K, L, A, N)."""
        centred = weights - (leader * weights).sum(axis=2, keepdims=True)
        rows = (leader * centred).transpose(0, 1, 3, 2).reshape(1, len(self._states), -1)
        gradient: Floats = self.policy.pull_back(theta, self._states, rows.astype(np.float64))[0]
        return gradient

    def _rolled(self, values: Singles) -> Singles:
        geometry, (angles, rotations, speeds, _) = self.grid.geometry, self.grid.shape
        out = np.empty((angles + 4, rotations, geometry.num_j, self.size), np.float32)
        roll(values, geometry, speeds, out)
        return out

    def _expected(
        self, values: Singles, chain: Singles, wanted: Flags, grid: Stencils | None = None
    ) -> Singles:
        out = np.empty_like(values)
        expect(self._rolled(values), chain, wanted, (grid or self.grid).geometry, out)
        return out

    def _pushed(self, mass: Singles, chain: Singles, least: float) -> Singles:
        geometry, (angles, rotations, speeds, _) = self.grid.geometry, self.grid.shape
        wide = (angles + 4, rotations, geometry.num_j, self.size)
        rolled = np.empty(wide, np.float32)
        push_forward(mass, chain, np.float32(least), geometry, rolled)
        out = np.empty_like(mass)
        roll_back(rolled, geometry, speeds, out)
        return out

    def _occupancy(self, chain: Singles, horizon: int) -> tuple[Singles, Flags]:
        """μ_t, shape (T, K, L, N), and the blocks (φ, φ̇) in which it ever is anything."""
        found = np.empty((horizon, *self.blocks, self.size), np.float32)
        found[0] = self.grid.start
        for t in range(1, horizon):
            found[t] = self._pushed(found[t - 1], chain, _NEGLIGIBLE)
        largest = np.maximum(found.max(axis=(0, 3)), -found.min(axis=(0, 3)))
        return found, largest > _NEGLIGIBLE

    def _outcomes(self, windows: Singles) -> Singles:
        """What the windows (K, L, M J, N) say of each outcome, shape (K, L, A, U, N)."""
        grid = self.grid
        number = grid.geometry.num_j
        out = np.zeros((*self.blocks, grid.base.shape[2], self.size), np.float32)
        rows = np.arange(self.blocks[0])[:, None, None], np.arange(self.blocks[1])[:, None]
        for p in range(4):
            for q in range(4):
                place = (grid.base[..., 0] + p) * number + grid.base[..., 1] + q
                weight = grid.kick_weight[..., 0, p] * grid.kick_weight[..., 1, q]
                if weight.any():
                    out += weight[..., None] * windows[(*rows, place)]
        return out.reshape(*self.blocks, len(self.winds), len(grid.pushes), self.size)

    def _moved(self, outcomes: Singles, leader: Singles) -> Singles:
        """Where weights of outcomes (K, L, A U, N), times f(w | s), lead, shape (K, L, N)."""
        grid = self.grid
        number = grid.geometry.num_j
        alive = grid.geometry.alive
        chain = np.zeros((*self.blocks, self._windows, self.size), np.float32)
        for k in range(self.blocks[0]):
            for row in range(self.blocks[1]):
                spread_chain(
                    outcomes[k, row], leader[k, row], alive[k, row], grid.base[k, row],
                    grid.kick_weight[k, row], number, chain[k, row],
                )  # fmt: skip
        return self._pushed(np.ones((*self.blocks, self.size), np.float32), chain, 0.0)


def _gmres(
    product: Callable[[Singles], Singles], wanted: Singles, steps: int, accuracy: float
) -> Singles:
    """Approximate solution of product(x) = wanted after at most so many steps (Saad, Schultz 1986).

    Ends when what is missing is `accuracy` of what was wanted, both in the 2-norm.
    """
    size = float(np.linalg.norm(wanted))
    if size == 0.0:
        return np.zeros_like(wanted)
    basis = [wanted / np.float32(size)]
    projected: NDArray[np.float64] = np.zeros((steps + 1, steps))
    weights = np.zeros(0)
    for step in range(steps):
        new = product(basis[step])
        for row, known in enumerate(basis):
            projected[row, step] = float(np.vdot(known, new))
            new = new - np.float32(projected[row, step]) * known
        projected[step + 1, step] = float(np.linalg.norm(new))
        target = size * np.eye(step + 2)[0]
        hessenberg = projected[: step + 2, : step + 1]
        weights = np.linalg.lstsq(hessenberg, target, rcond=None)[0]
        missing = float(np.linalg.norm(hessenberg @ weights - target))
        if missing <= accuracy * size or projected[step + 1, step] == 0.0:
            break
        basis.append(new / np.float32(projected[step + 1, step]))
    solution = np.zeros_like(wanted)
    for weight, known in zip(weights, basis, strict=False):
        solution += np.float32(weight) * known
    return solution
