"""A grid of states of cart and pole, and how a step leads from its nodes to others."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bilevelrl.core.arrays import Floats
from bilevelrl.core.settings import Component
from bilevelrl.core.validation import LARGEST, Positive
from bilevelrl.problems.guided_cartpole.planning.interpolation import lagrange, linear, safe
from bilevelrl.problems.guided_cartpole.planning.mechanics import Flags, Mechanics

Singles = NDArray[np.float32]
#: |x| from which on x is interpolated linearly, as a share of the limit.
CUBIC_SHARE = 0.75
#: Metres around where episodes start and the leader is paid that have the finest nodes, and the
#: distance in which these become half as dense.
_AROUND, _THINNING = 0.2, 0.25
#: Points of an average of r_L over a cell.
_AVERAGED = 32


#: Enough for a cubic in the middle.
Nodes = Annotated[int, Field(ge=5, le=LARGEST)]


class GridParams(Component):
    """Nodes of a planner in each coordinate, and of the integral over the follower's pushes.

    Attributes:
        positions: x, in metres.
        speeds: ẋ.
        top_speed: |ẋ| at most, in m/s; what is faster counts as that.
        angles: φ, in radians.
        rotations: φ̇.
        top_rotation: |φ̇| at most, in rad/s, likewise.
        pushes: u in [-1, 1].
        tolerance: of V_F, at every node.
    """

    positions: Nodes
    speeds: Nodes
    top_speed: Positive
    angles: Nodes
    rotations: Nodes
    top_rotation: Positive
    pushes: Annotated[int, Field(ge=2, le=LARGEST)]
    tolerance: Positive


def positions(number: int, mechanics: Mechanics) -> Floats:
    """Nodes of x as far as the track goes, dense where episodes start and the leader is paid."""
    fine = np.linspace(-mechanics.limit, mechanics.limit, 4001)
    places = np.concatenate([mechanics.starts[0][:, 0], fine[mechanics.leader_reward(fine) > 0.0]])
    low, high = places.min() - _AROUND, places.max() + _AROUND
    beyond = np.maximum(np.maximum(low - fine, fine - high), 0.0)
    density = 1.0 / (1.0 + beyond / _THINNING)
    count = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    nodes: Floats = np.interp(np.linspace(0.0, count[-1], number), count, fine)
    return nodes


class Geometry(NamedTuple):
    """Where a step leads in φ and x, and which windows (φ̇', ẋ') it can reach.

    Attributes:
        turn_offset: of φ', in nodes, shape (K, L).
        turn_weight: of four nodes around it, shape (K, L, 4).
        x_group: first nodes of a block that have one offset of x', and N at last, shape (G + 1,).
        x_offset: of x' of each group, in nodes, shape (G,).
        x_weight: of four nodes around x', shape (4, N).
        alive: 1 where the episode goes on, else 0, shape (K, L, N).
        first_m: window in φ̇, in nodes from where the step begins; M = `num_m` of them.
        num_m: see there.
        first_j: window in ẋ, likewise; J = `num_j` of them.
        num_j: see there.
        reach: whether any outcome leads into a window, shape (K, L, M, J).
    """

    turn_offset: NDArray[np.int64]
    turn_weight: Singles
    x_group: NDArray[np.int64]
    x_offset: NDArray[np.int64]
    x_weight: Singles
    alive: Singles
    first_m: int
    num_m: int
    first_j: int
    num_j: int
    reach: Flags


@dataclass(frozen=True, eq=False)
class Stencils:
    """A grid, and the steps that lead away from its nodes.

    Attributes:
        nodes: of φ (K,), φ̇ (L,), ẋ (I,) and x (X,).
        pushes: nodes u of integrals over [-1, 1], shape (U,).
        push_weight: of each, shape (U,).
        safe: where interpolation is cubic, shape (K, L).
        base: see `kernels.soft_backup`.
        kick_weight: see there.
        geometry: what kernels need beside.
        reward: r_L of a step from each node, shape (K, L, N).
        start: weights of the nodes in which episodes begin, shape (K, L, N).
    """

    nodes: tuple[Floats, Floats, Floats, Floats]
    pushes: Floats
    push_weight: Singles
    safe: Flags
    base: NDArray[np.int64]
    kick_weight: Singles
    geometry: Geometry
    reward: Singles
    start: Singles

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, L, I, X)."""
        angles, rotations, speeds, places = (len(each) for each in self.nodes)
        return angles, rotations, speeds, places

    @property
    def states(self) -> Floats:
        """All nodes as (x, ẋ, φ, φ̇), shape (K L I X, 4)."""
        angle, rotation, speed, position = np.meshgrid(*self.nodes, indexing="ij")
        return np.stack([position, speed, angle, rotation], axis=-1).reshape(-1, 4)


def stencils(
    mechanics: Mechanics, winds: Floats, params: GridParams, *, cubic: bool = True
) -> Stencils:
    """The grid of a cart and a pole, for a leader that chooses from `winds`, shape (A,).

    All interpolation is linear in φ, φ̇ and ẋ if it is not to be `cubic` anywhere.
    """
    places = positions(params.positions, mechanics)
    speeds = np.linspace(-params.top_speed, params.top_speed, params.speeds)
    angles = np.linspace(-mechanics.angle_limit, mechanics.angle_limit, params.angles)
    rotations = np.linspace(-params.top_rotation, params.top_rotation, params.rotations)
    smooth = np.zeros((len(angles), len(rotations)), dtype=np.bool_)
    if cubic:
        smooth = safe(mechanics, winds, angles, rotations)
    rolled, turned = mechanics.drift(speeds, rotations)
    x_group, x_offset, x_weight, off_track = _rolling(places, rolled, mechanics.limit)
    turn_offset, turn_weight, fallen = _turning(angles, turned, mechanics.angle_limit, smooth)
    alive = ~(fallen[:, :, None, None] | off_track)
    pushes, push_weight = np.polynomial.legendre.leggauss(params.pushes)
    base, kick_weight, ranges = _kicks(
        mechanics, (angles, rotations, speeds), winds, pushes, smooth
    )
    paid = _cell_average(mechanics, places, places + rolled[:, None])
    shape = (*alive.shape[:2], -1)
    geometry = Geometry(
        turn_offset, turn_weight.astype(np.float32), x_group, x_offset, x_weight.astype(np.float32),
        np.ascontiguousarray(alive.reshape(shape).astype(np.float32)), *ranges,
        _reach(base, kick_weight, ranges),
    )  # fmt: skip
    nodes = (angles, rotations, speeds, places)
    return Stencils(
        nodes, pushes, push_weight.astype(np.float32), smooth, base,
        kick_weight.astype(np.float32), geometry,
        np.ascontiguousarray(np.broadcast_to(paid, alive.shape).reshape(shape), np.float32),
        _starts(mechanics, nodes).reshape(shape).astype(np.float32),
    )  # fmt: skip


def _rolling(
    places: Floats, rolled: Floats, limit: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Flags]:
    """Groups (G + 1,), offsets (G,), weights (4, I X) and ends (I, X), see `Geometry`."""
    offset = np.where(rolled < 0.0, -1, 0)
    ahead = places + rolled[:, None]
    gaps = (places[1] - places[0], places[-1] - places[-2])
    before = places[0] - gaps[0] * np.array([2.0, 1.0])
    after = places[-1] + gaps[1] * np.array([1.0, 2.0])
    wide = np.concatenate([before, places, after])
    index = 2 + offset[:, None, None] + np.arange(len(places))[:, None] + np.arange(-1, 3)
    nodes, far = wide[index], np.abs(places) > CUBIC_SHARE * limit
    outside = ((index < 2) | (index >= 2 + len(places))).any(axis=-1)
    straight = (far | outside)[..., None]
    weights = np.where(straight, linear(nodes, ahead), lagrange(nodes, ahead))
    ended = np.abs(ahead) > limit
    weights[ended] = 0.0
    changes = np.flatnonzero(np.diff(offset)) + 1
    group = np.concatenate([[0], changes, [len(rolled)]])
    flat = np.ascontiguousarray(weights.reshape(-1, 4).T)
    return group * len(places), offset[group[:-1]], flat, ended


def _turning(
    angles: Floats, turned: Floats, limit: float, cubic: Flags
) -> tuple[NDArray[np.int64], Floats, Flags]:
    """Offset (K, L), weights (K, L, 4) and ends (K, L) of φ' from each node."""
    step = angles[1] - angles[0]
    offset = np.broadcast_to(np.floor(turned / step).astype(np.int64), cubic.shape).copy()
    ahead = angles[:, None] + turned
    nodes = (angles[:, None] + step * offset)[..., None] + step * np.arange(-1, 3)
    weights = np.where(cubic[..., None], lagrange(nodes, ahead), linear(nodes, ahead))
    ended = np.abs(ahead) > limit * (1.0 + 1e-12)
    weights[ended], offset[ended] = 0.0, 0
    return offset, weights, ended


def _kicks(
    mechanics: Mechanics,
    nodes: tuple[Floats, Floats, Floats],
    winds: Floats,
    pushes: Floats,
    cubic: Flags,
) -> tuple[NDArray[np.int64], Floats, tuple[int, int, int, int]]:
    """First windows, their weights, and first and number of all, of every outcome (w, u)."""
    angles, rotations, speeds = nodes
    every = np.meshgrid(angles, rotations, winds, pushes, indexing="ij")
    faster, turning = mechanics.kick(*every)
    fastest = rotations[-1]
    changes = np.clip(every[1] + turning, -fastest, fastest) - every[1], faster
    found = []
    for change, own in zip(changes, (rotations, speeds), strict=True):
        cells = change / (own[1] - own[0])
        first = np.floor(cells).astype(np.int64)
        corners = first[..., None] + np.arange(-1.0, 3.0)
        smooth = cubic[:, :, None, None, None]
        weights = np.where(smooth, lagrange(corners, cells), linear(corners, cells))
        shape = (*cubic.shape, -1)
        found.append((first.reshape(shape) - 1, weights.reshape(*shape, 4)))
    lowest = [int(first.min()) for first, _ in found]
    counts = [int(first.max()) - low + 4 for (first, _), low in zip(found, lowest, strict=True)]
    base = np.stack([first - low for (first, _), low in zip(found, lowest, strict=True)], axis=-1)
    weights = np.stack([own for _, own in found], axis=-2)
    return base, weights, (lowest[0], counts[0], lowest[1], counts[1])


def _reach(base: NDArray[np.int64], weight: Floats, ranges: tuple[int, int, int, int]) -> Flags:
    """See `Geometry`."""
    reach = np.zeros((*base.shape[:2], ranges[1], ranges[3]), dtype=np.bool_)
    rows = np.arange(base.shape[0])[:, None, None], np.arange(base.shape[1])[:, None]
    used = weight != 0.0
    for p in range(4):
        for q in range(4):
            place = (*rows, base[..., 0] + p, base[..., 1] + q)
            np.logical_or.at(reach, place, used[..., 0, p] & used[..., 1, q])
    return reach


def _cell_average(mechanics: Mechanics, places: Floats, ahead: Floats) -> Floats:
    """r_L at x', shape (I, X), averaged over the width of a cell: the goal has sharp edges."""
    width = np.gradient(places)
    within = (np.arange(_AVERAGED) + 0.5) / _AVERAGED - 0.5
    average: Floats = mechanics.leader_reward(ahead[..., None] + width[:, None] * within).mean(
        axis=-1
    )
    return average


def _starts(mechanics: Mechanics, nodes: tuple[Floats, ...]) -> Floats:
    """Weights of all nodes, shape (K, L, I, X), by cubic interpolation around the starts."""
    states, weight = mechanics.starts
    columns = states[:, [2, 3, 1, 0]]
    spread = []
    for own, at in zip(nodes, columns.T, strict=True):
        first = np.clip(np.searchsorted(own, at, side="right") - 2, 0, len(own) - 4)
        index = first[:, None] + np.arange(4)
        near = own[index]
        rows = np.zeros((len(at), len(own)))
        np.put_along_axis(rows, index, lagrange(near, np.clip(at, own[0], own[-1])), axis=1)
        spread.append(rows)
    total: Floats = np.einsum("n,nk,nl,ni,nx->klix", weight, *spread, optimize=True)
    return total
