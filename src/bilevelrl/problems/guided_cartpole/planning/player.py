"""The follower's best response, as a player off the nodes of the grid."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel
from bilevelrl.problems.guided_cartpole.planning.grid import CUBIC_SHARE, Singles
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.view import SCALE


@kernel
def interpolate(value, nodes, safe, near, states, out):  # type: ignore[no-untyped-def]
    """Fill v, shape (n,), at states (n, 4) of (x, ẋ, φ, φ̇).

    Args:
        value: on the grid, shape (K, L, I, X).
        nodes: of φ, φ̇, ẋ and x.
        safe: where interpolation is cubic, shape (K, L).
        near: |x| up to which it is cubic in x.
        states: what is beyond the grid counts as its edge.
        out: filled.
    """
    order = (2, 3, 1, 0)
    weight, base = np.empty((4, 4)), np.empty(4, np.int64)
    for row in range(len(states)):
        for d in range(4):
            own = nodes[d]
            at = min(max(states[row, order[d]], own[0]), own[-1])
            first = min(max(np.searchsorted(own, at, side="right") - 1, 0), len(own) - 2)
            share = (at - own[first]) / (own[first + 1] - own[first])
            base[d] = first
            weight[d, 0], weight[d, 1] = 0.0, 1.0 - share
            weight[d, 2], weight[d, 3] = share, 0.0
        closest = base[0] + (weight[0, 2] > 0.5), base[1] + (weight[1, 2] > 0.5)
        smooth = safe[closest[0], closest[1]]
        for d in range(4):
            own = nodes[d]
            inside = base[d] >= 1 and base[d] <= len(own) - 3
            cubic = abs(states[row, 0]) <= near if d == 3 else smooth
            if inside and cubic:
                at = min(max(states[row, order[d]], own[0]), own[-1])
                for a in range(4):
                    weight[d, a] = 1.0
                    for b in range(4):
                        if a != b:
                            gap = own[base[d] - 1 + a] - own[base[d] - 1 + b]
                            weight[d, a] *= (at - own[base[d] - 1 + b]) / gap
        total = 0.0
        for k in range(4):
            for l in range(4):  # noqa: E741 -- a node of φ̇
                for i in range(4):
                    for x in range(4):
                        w = weight[0, k] * weight[1, l] * weight[2, i] * weight[3, x]
                        if w != 0.0:
                            total += w * value[base[0] - 1 + k, base[1] - 1 + l,
                                               base[2] - 1 + i, base[3] - 1 + x]  # fmt: skip
        out[row] = total


@dataclass(frozen=True, eq=False)
class PlannedPlayer:
    """Implements `players.Player`: the best response to one θ, with a step ahead of its own.

    Each push of the grid's integral stands for an interval, in which all pushes are as likely.

    Attributes:
        planner: whose grid has the value, and whose mechanics the step ahead.
        value: v_F of the response, shape (K, L, N).
        temperature: β.
        discount: γ_F.
    """

    planner: Planner
    value: Singles
    temperature: float
    discount: float

    @property
    def _edges(self) -> Floats:
        widths = self.planner.grid.push_weight.astype(np.float64)
        return np.concatenate([[-1.0], -1.0 + np.cumsum(widths)])

    def _scores(self, observation: Floats) -> Floats:
        """γ_F v_F(s') / β after each push of the integral, (N, U), at observations (N, 5)."""
        grid, mechanics = self.planner.grid, self.planner.mechanics
        state, wind = observation[:, :4] * SCALE, observation[:, 4]
        number, many = len(state), len(grid.pushes)
        before, blown = np.repeat(state, many, axis=0), np.repeat(wind, many)
        rolled, turned = mechanics.drift(before[:, 1], before[:, 3])
        faster, turning = mechanics.kick(
            before[:, 2], before[:, 3], blown, np.tile(grid.pushes, number)
        )
        after = before + np.stack([rolled, faster, turned, turning], axis=-1)
        ahead = np.empty(len(after))
        interpolate(
            self.value.reshape(grid.shape), grid.nodes, grid.safe,
            CUBIC_SHARE * mechanics.limit, after, ahead,
        )  # fmt: skip
        ended = np.abs(after[:, 0]) > mechanics.limit
        ahead[ended | (np.abs(after[:, 2]) > mechanics.angle_limit)] = 0.0
        scores: Floats = (self.discount / self.temperature) * ahead.reshape(number, many)
        return scores

    def probabilities(self, observation: Floats) -> Floats:
        """Of each interval of pushes, shape (N, U), at `view.follower_observation`, (N, 5)."""
        scores = self._scores(observation)
        scores -= scores.max(axis=1, keepdims=True)
        mass = np.exp(scores) * np.diff(self._edges)
        chances: Floats = mass / mass.sum(axis=1, keepdims=True)
        return chances

    def soft_value(self, observation: Floats) -> Floats:
        """V_F(s, w) without the reward of this step, shape (N,), at observations (N, 5)."""
        values = logsumexp(self._scores(observation), axis=1, b=np.diff(self._edges))
        soft: Floats = self.temperature * values
        return soft

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`; the normals are turned into uniform numbers."""
        chances, edges = self.probabilities(state), self._edges
        uniform, upper = ndtr(normals[:, 0]), np.cumsum(chances, axis=1)
        chosen = (uniform[:, None] >= upper[:, :-1]).sum(axis=1)
        rows = np.arange(len(uniform))
        own = np.maximum(chances[rows, chosen], np.finfo(np.float64).tiny)
        share = np.clip((uniform - (upper[rows, chosen] - own)) / own, 0.0, 1.0)
        width = np.diff(edges)[chosen]
        return (edges[chosen] + share * width)[:, None], np.log(own / width)

    def log_density(self, state: Floats, action: Floats) -> Floats:
        """The log of π(u | s, w), shape (N,), at observations (N, 5) and pushes (N, 1)."""
        edges = self._edges
        place = np.searchsorted(edges, action[:, 0], side="right") - 1
        chosen = np.clip(place, 0, len(edges) - 2)
        chances = self.probabilities(state)[np.arange(len(chosen)), chosen]
        tiny = np.finfo(np.float64).tiny
        density: Floats = np.log(np.maximum(chances, tiny) / np.diff(edges)[chosen])
        return density

    def surprise(self, state: Floats, action: Floats) -> float:
        """How much less likely actions (N, 1) are than this player's own, in nats, on average.

        About 0 for its own, and KL(other || this) for another player's of the same entropy.
        """
        chances = self.probabilities(state)
        tiny = np.finfo(np.float64).tiny
        own = (chances * np.log(np.maximum(chances, tiny) / np.diff(self._edges))).sum(axis=1)
        return float((own - self.log_density(state, action)).mean())
