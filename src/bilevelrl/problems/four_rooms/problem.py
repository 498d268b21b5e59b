"""FourRooms: a leader fines cells of a grid world so that the follower takes a detour.

Source: arXiv 2603.14867, configurable-MDP experiments; the map is that of the authors' code.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.models.tabular.model import TabularModel, tabular_model

MAP = (
    "xxxxxxxxxxxxx",
    "x     x  G  x",
    "x     x     x",
    "x           x",
    "xS    x     x",
    "x     x     x",
    "xx xxxx     x",
    "x     xxx xxx",
    "x   + x     x",
    "x     x     x",
    "x           x",
    "x     x     x",
    "xxxxxxxxxxxxx",
)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left

SlipKernels = Literal["corrected", "published"]


@dataclass(frozen=True)
class FourRooms:
    """The FourRooms configurable MDP with the leader's softmax-budget penalties.

    With p = softmax(θ) over S + 1 entries (the last is the budget that the leader keeps),
    c_s(θ) = -scale · p_s is what the follower receives for every step on cell s; on the goal it
    receives +1 instead. The leader receives +1 for every step on the target, and pays
    cost · ‖c(θ)‖₁ once, when the follower leaves the goal (which ends the episode).

    Attributes:
        discount: γ of both players, per step.
        fail_probability: the slip parameter f of the released code. The simulator replaces the
            action by a uniform draw with probability 4f/3, so that the intended move happens with
            1 - f.
        incentive_scale: largest penalty per step, in units of the goal reward.
        incentive_cost: ρ, what the leader pays per unit of ‖c‖₁.
        max_episode_steps: transitions after which an episode is cut.
        slip_kernels: "corrected" plans with the simulator's kernel; "published" plans with 4f/3 as
            the *total* slip probability, a mismatch of the released code (intended move: 1 - 4f/3).
    """

    discount: float = 0.99
    fail_probability: float = 0.33
    incentive_scale: float = 0.2
    incentive_cost: float = 5.0
    max_episode_steps: int = 200
    slip_kernels: SlipKernels = "corrected"

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """(row, column) of every state, in row-major order of the free cells."""
        return tuple(
            (row, column)
            for row, line in enumerate(MAP)
            for column, mark in enumerate(line)
            if mark != "x"
        )

    @cached_property
    def num_states(self) -> int:
        """S, the number of free cells."""
        return len(self.cells)

    @property
    def num_parameters(self) -> int:
        """D = S + 1."""
        return self.num_states + 1

    @cached_property
    def start(self) -> int:
        """State in which every episode starts."""
        return self._state_of("S")

    @cached_property
    def goal(self) -> int:
        """State whose exit ends the episode and pays the follower."""
        return self._state_of("G")

    @cached_property
    def target(self) -> int:
        """State that the leader wants to be visited."""
        return self._state_of("+")

    def _state_of(self, mark: str) -> int:
        return next(s for s, (row, column) in enumerate(self.cells) if MAP[row][column] == mark)

    @cached_property
    def moves(self) -> NDArray[np.int32]:
        """m(s, b), the cell reached by executing move b; walls stop; shape (S, 4)."""
        state = {cell: s for s, cell in enumerate(self.cells)}
        return np.array(
            [
                [state.get((row + d_row, column + d_column), s) for d_row, d_column in MOVES]
                for s, (row, column) in enumerate(self.cells)
            ],
            dtype=np.int32,
        )

    @cached_property
    def simulator(self) -> TabularModel:
        """Intended move with probability 1 - f, each other one with f/3."""
        return self._model(self.fail_probability)

    @cached_property
    def planner(self) -> TabularModel:
        """The process in which the follower plans and J is defined."""
        if self.slip_kernels == "corrected":
            return self.simulator
        return self._model(4.0 / 3.0 * self.fail_probability)

    def _model(self, slip: float) -> TabularModel:
        executed = np.where(np.eye(4, dtype=bool), 1.0 - slip, slip / 3.0)  # (A, move)
        discount = np.full(self.num_states, self.discount)
        discount[self.goal] = 0.0
        initial = np.zeros(self.num_states)
        initial[self.start] = 1.0
        probability = np.broadcast_to(executed, (self.num_states, 4, 4))
        return tabular_model(self.moves, probability, discount, initial)

    def initial_parameters(self, normals: Floats, spread: Floats) -> Floats:
        """θ = spread · z, shape (R, D), from standard normals z (R, D), one spread per run (R,)."""
        return normals * spread[:, None]

    def incentive(self, theta: Floats) -> Floats:
        """c_s(θ) of every cell, the goal's unused entry included, shape (R, S)."""
        probabilities = np.empty_like(theta)
        _fill_softmax(theta, probabilities)
        return -self.incentive_scale * probabilities[:, :-1]

    def follower_reward(self, theta: Floats) -> Floats:
        """r_F(s, a; θ), shape (R, S, A): the penalty of the cell, or 1 on the goal."""
        reward = self.influence.follower_part(theta)
        reward[:, self.goal] = 1.0
        return reward

    def leader_reward(self, theta: Floats) -> Floats:
        """r_L(s, a; θ), shape (R, S, A): 1 on the target, -ρ ‖c(θ)‖₁ on the goal."""
        reward = self.influence.leader_part(theta)
        reward[:, self.target] = 1.0
        return reward

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_F(s, a; θ), shape (R, D), for weights (R, S, A)."""
        return self.influence.pull_back_follower_reward(theta, weights)

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_L(s, a; θ), shape (R, D), for weights (R, S, A)."""
        return self.influence.pull_back_leader_reward(theta, weights)

    @cached_property
    def influence(self) -> "Incentive":
        """What θ does to the rewards."""
        return Incentive(self.incentive_scale, self.incentive_cost, self.goal)


@dataclass(frozen=True)
class Incentive:
    """Implements `identified.game.KnownRewards`: the penalties that the leader spreads out.

    Attributes:
        scale: of all penalties together.
        cost: of a unit of them, to the leader.
        goal: the state whose penalty is never paid.
    """

    scale: float
    cost: float
    goal: int

    def follower_part(self, theta: Floats) -> Floats:
        """The penalty of the cell, c_s(θ), shape (R, S, A)."""
        reward = np.empty((len(theta), theta.shape[1] - 1, len(MOVES)))
        _fill_penalties(theta, self.scale, self.goal, reward)
        return reward

    def leader_part(self, theta: Floats) -> Floats:
        """What the penalties cost, -ρ ‖c(θ)‖₁ on the goal, shape (R, S, A)."""
        reward = np.zeros((len(theta), theta.shape[1] - 1, len(MOVES)))
        _fill_leader_cost(theta, self.cost * self.scale, self.goal, reward)
        return reward

    @staticmethod
    def spread(scores: Floats, kept: float) -> Floats:
        """θ of penalties in proportion to exp(score), shape (N, S), and a budget that is kept."""
        return np.concatenate([scores, np.full((len(scores), 1), kept)], axis=1)

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_F(s, a; θ), shape (R, D), for weights (R, S, A)."""
        gradient = np.empty_like(theta)
        _pull_back_follower(theta, weights, self.scale, self.goal, gradient)
        return gradient

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_L(s, a; θ), shape (R, D), for weights (R, S, A)."""
        gradient = np.empty_like(theta)
        _pull_back_leader(theta, weights, self.cost * self.scale, self.goal, gradient)
        return gradient


@kernel
def _exponentials(theta, weights):  # type: ignore[no-untyped-def]
    """Fill with exp(θ_j - max θ); returns their sum."""
    top, total = theta.max(), 0.0
    for j in range(len(theta)):
        weights[j] = np.exp(theta[j] - top)
        total += weights[j]
    return total


@parallel_kernel
def _fill_softmax(theta, probabilities):  # type: ignore[no-untyped-def]
    for r in numba.prange(len(theta)):
        probabilities[r] /= _exponentials(theta[r], probabilities[r])


@parallel_kernel
def _fill_penalties(theta, scale, goal, reward):  # type: ignore[no-untyped-def]
    for r in numba.prange(len(theta)):
        weights = np.empty(theta.shape[1])
        total = _exponentials(theta[r], weights)
        for s in range(reward.shape[1]):
            reward[r, s] = -scale * weights[s] / total
        reward[r, goal] = 0.0


@parallel_kernel
def _fill_leader_cost(theta, price, goal, reward):  # type: ignore[no-untyped-def]
    for r in numba.prange(len(theta)):
        weights = np.empty(theta.shape[1])
        _exponentials(theta[r], weights)
        spent = 0.0
        for j in range(len(weights) - 1):
            spent += weights[j]
        reward[r, goal] = -price * spent / (spent + weights[-1])


@parallel_kernel
def _pull_back_follower(theta, weights, scale, goal, gradient):  # type: ignore[no-untyped-def]
    # ∂c_s/∂θ_j = -scale p_s (1[s = j] - p_j), and the penalty of the goal is never paid.
    for r in numba.prange(len(theta)):
        num_states = weights.shape[1]
        total = _exponentials(theta[r], gradient[r])
        mean = 0.0
        for s in range(num_states):
            if s != goal:
                mean += weights[r, s].sum() * gradient[r, s] / total
        for j in range(num_states + 1):
            weight = 0.0
            if j < num_states and j != goal:
                weight = weights[r, j].sum()
            gradient[r, j] *= -scale * (weight - mean) / total


@parallel_kernel
def _pull_back_leader(theta, weights, price, goal, gradient):  # type: ignore[no-untyped-def]
    # r_L(goal) = -price (1 - p_kept), so ∇ = price p_kept (e_kept - p).
    for r in numba.prange(len(theta)):
        total = _exponentials(theta[r], gradient[r])
        factor = price * weights[r, goal].sum() * gradient[r, -1] / total
        for j in range(theta.shape[1]):
            gradient[r, j] *= -factor / total
        gradient[r, -1] += factor
