"""J and its hypergradient in the game on the grid.

With the occupancy μ_t of an episode of T steps, A_L = Q_L(s, w, u) - E_u Q_L, and ν, the
γ_F-discounted flow of all that (γ_F / β) Σ_t γ_L^t μ_t f π A_L leads to,

    dJ/dθ = Σ_t γ_L^t Σ_s μ_t(s) Σ_w ∇f(w|s) Q_L(s, w)  +  Σ_s ν(s) Σ_w ∇f(w|s) V_F(s, w).

The game on the grid is a game of its own, so that both terms are exact in it where no value is
capped (`best_response`); how far it is from the problem, two grids tell
(docs/results/guided_cartpole.md).
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning.best_response import BestResponse, settle
from bilevelrl.problems.guided_cartpole.planning.grid import Singles
from bilevelrl.problems.guided_cartpole.planning.kernels import spread_chain
from bilevelrl.problems.guided_cartpole.planning.movement import expect_and_meet
from bilevelrl.problems.guided_cartpole.planning.planner import Planner, Spans

#: Steps for ν at most, and the accuracy at which they end before, see `best_response.settle`.
_FLOW_SWEEPS, _FLOW_ACCURACY = 210, 3e-5
#: Probability of a state below which a block of states is not followed any further.
_NEGLIGIBLE = 1e-8


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


def planned(
    planner: Planner,
    theta: Floats,
    response: BestResponse,
    temperature: float,
    discounts: tuple[float, float],
    horizon: int,
    *,
    indirect: bool = True,
    accuracy: float = _FLOW_ACCURACY,
    sweeps: int = _FLOW_SWEEPS,
) -> Planned:
    """J and its hypergradient at θ, shape (D,), for (γ_L, γ_F) and episodes of T steps.

    Without `indirect` that term is left out, and zeros stand for it; with it, ν is solved to an
    `accuracy` in the 2-norm, by at most so many `sweeps`.
    """
    grid, (gamma, follower_gamma) = planner.grid, discounts
    chain, leader = response.chain, response.leader
    occupancy, visited = occupancy_of(planner, chain, horizon)
    nodes = np.arange(planner.size)
    paid = grid.reward * ((visited[..., :1] <= nodes) & (nodes < visited[..., 1:]))
    value = np.zeros((*planner.blocks, planner.size), np.float32)  # of the leader, from t on
    ahead, met = np.empty_like(value), np.zeros_like(chain)
    for t in range(horizon - 1, -1, -1):
        expect_and_meet(
            planner.rolled(value), chain, occupancy[t], np.float32(gamma ** (t + 1)), visited,
            grid.geometry, ahead, met,
        )  # fmt: skip
        value = paid + np.float32(gamma) * ahead
    alive = grid.geometry.alive
    per_outcome = _outcomes(planner, met) * alive[:, :, None, None]  # Σ_t γ^t μ_t Q_L, but for r_L
    shape = (*planner.blocks, len(planner.winds), len(grid.pushes), planner.size)
    policy = response.policy.reshape(shape)
    mean = (policy * per_outcome).sum(axis=3)
    direct = planner.pull_back(theta, leader, mean)
    total, flown = float(np.vdot(grid.start, value)), np.zeros_like(direct)
    if indirect:
        injected = policy * (per_outcome - mean[:, :, :, None])
        scale = np.float32(follower_gamma / temperature)
        first = _moved(planner, injected.reshape(response.policy.shape) * scale, leader)

        def not_yet(of: Singles) -> Singles:
            return of - np.float32(follower_gamma) * planner.pushed(of, chain)

        flow = settle(not_yet, first, sweeps, accuracy)
        flown = planner.pull_back(theta, leader, response.expected * flow[:, :, None])
    follower_value = float(np.vdot(grid.start, response.value))
    return Planned(total, direct, flown, follower_value)


def occupancy_of(planner: Planner, chain: Singles, horizon: int) -> tuple[Singles, Spans]:
    """μ_t, shape (T, K, L, N), and the nodes of each block between which it is, (K, L, 2)."""
    found = np.empty((horizon, *planner.blocks, planner.size), np.float32)
    found[0] = planner.grid.start
    for t in range(1, horizon):
        found[t] = planner.pushed(found[t - 1], chain, _NEGLIGIBLE)
    ever = np.maximum(found.max(axis=0), -found.min(axis=0)) > _NEGLIGIBLE
    first, last = ever.argmax(axis=2), planner.size - ever[..., ::-1].argmax(axis=2)
    return found, np.stack([first, np.where(ever.any(axis=2), last, first)], axis=-1)


def _outcomes(planner: Planner, windows: Singles) -> Singles:
    """What the windows (K, L, M J, N) say of each outcome, shape (K, L, A, U, N)."""
    grid = planner.grid
    number = grid.geometry.num_j
    out = np.zeros((*planner.blocks, grid.base.shape[2], planner.size), np.float32)
    rows = np.arange(planner.blocks[0])[:, None, None], np.arange(planner.blocks[1])[:, None]
    for p in range(4):
        for q in range(4):
            place = (grid.base[..., 0] + p) * number + grid.base[..., 1] + q
            weight = grid.kick_weight[..., 0, p] * grid.kick_weight[..., 1, q]
            if weight.any():
                out += weight[..., None] * windows[(*rows, place)]
    return out.reshape(*planner.blocks, len(planner.winds), len(grid.pushes), planner.size)


def _moved(planner: Planner, outcomes: Singles, leader: Singles) -> Singles:
    """Where weights of outcomes (K, L, A U, N), times f(w | s), lead, shape (K, L, N)."""
    grid = planner.grid
    number = grid.geometry.num_j
    alive = grid.geometry.alive
    chain = np.zeros((*planner.blocks, planner.windows, planner.size), np.float32)
    for k in range(planner.blocks[0]):
        for row in range(planner.blocks[1]):
            spread_chain(
                outcomes[k, row], leader[k, row], alive[k, row], grid.base[k, row],
                grid.kick_weight[k, row], number, chain[k, row],
            )  # fmt: skip
    return planner.pushed(np.ones((*planner.blocks, planner.size), np.float32), chain)
