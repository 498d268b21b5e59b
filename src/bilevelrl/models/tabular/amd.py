"""AMD, adaptive model design: the hypergradient by sweeps over tables that are never solved anew.

Source: Chen et al., ICML 2022, in the form that arXiv 2406.01575 compares with HPGD. Every sweep
improves the follower's action values Q_F, their gradient ∂Q_F in θ, the leader's action values Q_L
and their gradient ∂Q_L from the tables of the sweep before. With π = softmax(Q_F / β):

    V_F = Σ_a π Q_F + β H(π)      Q_F ← r_F + γ P V_F
    ∂V_F = Σ_a π ∂Q_F             ∂Q_F ← ∂r_F + γ P ∂V_F
    V_L = Σ_a π Q_L               Q_L ← r_L + γ P V_L
    ∂V_L = Σ_a π ∂Q_L             ∂Q_L ← ∂r_L + (Q_L - V_L) (∂Q_F - ∂V_F) / β + γ P ∂V_L

The estimate is ∂V_L where episodes start. At the fixed point it is dJ/dθ.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.game import TabularGame
from bilevelrl.models.tabular.problem import RewardModel


class PullBack(Protocol):
    """Σ_sa w(s, a) ∇_θ r(s, a; θ) of one of the two rewards."""

    def __call__(self, theta: Floats, weights: Floats) -> Floats:
        """Shape (N, D), for θ (N, D) and weights (N, S, A)."""


def reward_slopes(pull_back: PullBack, theta: Floats, num_states: int, num_actions: int) -> Floats:
    """∇_θ r(s, a; θ) of a reward whose gradient is that of the state, shape (R, S, D).

    Raises:
        ValueError: if the gradients of the first and of the last action differ anywhere.
    """
    first, last = (_of_action(pull_back, theta, num_states, num_actions, a) for a in (0, -1))
    if not np.array_equal(first, last):
        raise ValueError("amd needs rewards whose gradient in θ is the same for every action")
    return first


def _of_action(
    pull_back: PullBack, theta: Floats, num_states: int, num_actions: int, action: int
) -> Floats:
    weights = np.zeros((num_states, num_states, num_actions))
    weights[np.arange(num_states), np.arange(num_states), action] = 1.0
    rows = [pull_back(np.repeat(each[None], num_states, axis=0), weights) for each in theta]
    return np.stack(rows)


@kernel
def _soften(action_value, temperature, policy):  # type: ignore[no-untyped-def]
    """Fill `policy` (A,) with softmax(Q / β); returns Σ_a π Q + β H(π) = β log Σ_a exp(Q / β)."""
    top, total = action_value.max(), 0.0
    for a in range(len(policy)):
        policy[a] = np.exp((action_value[a] - top) / temperature)
        total += policy[a]
    policy /= total
    return top + temperature * np.log(total)


@kernel
def _spread(model, policy, advantage, reached, s, k):  # type: ignore[no-untyped-def]
    """γ P̄ of a successor and γ Σ_a π A_L (P - P̄) / β, the covariance that it stands for."""
    onwards, covariance = 0.0, 0.0
    for a in range(len(policy)):
        p = model.probability[s, a, k]
        onwards += policy[a] * p
        covariance += policy[a] * advantage[a] * (p - reached[k])
    return model.discount[s] * onwards, model.discount[s] * covariance


@kernel
def _add_rows(total, weights, table, rows):  # type: ignore[no-untyped-def]
    """Add Σ_k w_k table[row_k] to `total`, (D,); four at a time, of which the last may weigh 0."""
    for k in range(0, len(weights), 4):
        one, two, three, four = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        first, second = table[rows[k]], table[rows[k + 1]]
        third, fourth = table[rows[k + 2]], table[rows[k + 3]]
        for j in range(len(total)):
            total[j] += one * first[j] + two * second[j] + three * third[j] + four * fourth[j]


@parallel_kernel
def _sweep(  # type: ignore[no-untyped-def]
    model, follower_reward, leader_reward, follower_slope, leader_slope, temperature, num_sweeps,
    follower, leader, slopes, gradient, estimate,
):  # fmt: skip
    # ∂Q_F and ∂Q_L, (S, A, D), follow from the three tables of states that are kept: with P̄ that of
    # π, `newer` is ∂V_F, `older` the one before, of which ∂Q_F is made, and `gradient` is ∂V_L.
    num_runs, num_states, num_actions = follower.shape
    num_successors, size = model.successor.shape[1], slopes.shape[3]
    for r in numba.prange(num_runs):
        beta = temperature[r]
        policy = np.empty((num_states, num_actions))
        advantage = np.empty((num_states, num_actions))
        soft, value = np.empty(num_states), np.empty(num_states)
        reached = np.zeros((num_states, num_successors))
        older, newer = slopes[r, 0].copy(), slopes[r, 1].copy()
        spare = np.empty((num_states, size))
        padded = -(-num_successors // 4) * 4
        shares, covariances = np.zeros(padded), np.zeros(padded)
        rows = np.zeros(padded, model.successor.dtype)
        current, following = gradient[r].copy(), np.empty((num_states, size))
        for s in range(num_states):
            soft[s] = _soften(follower[r, s], beta, policy[s])
        for _ in range(num_sweeps):
            for s in range(num_states):
                value[s] = 0.0
                reached[s] = 0.0
                for a in range(num_actions):
                    value[s] += policy[s, a] * leader[r, s, a]
                    for k in range(num_successors):
                        reached[s, k] += policy[s, a] * model.probability[s, a, k]
                for a in range(num_actions):
                    advantage[s, a] = (leader[r, s, a] - value[s]) / beta
            for s in range(num_states):
                discount = model.discount[s]
                for a in range(num_actions):
                    later, own = 0.0, 0.0
                    for k in range(num_successors):
                        p, t = model.probability[s, a, k], model.successor[s, k]
                        later += p * soft[t]
                        own += p * value[t]
                    follower[r, s, a] = follower_reward[r, s, a] + discount * later
                    leader[r, s, a] = leader_reward[r, s, a] + discount * own
            for s in range(num_states):
                discount = model.discount[s]
                soft[s] = _soften(follower[r, s], beta, policy[s])
                spare[s], following[s] = follower_slope[r, s], leader_slope[r, s]
                if discount == 0.0:
                    continue
                for k in range(num_successors):
                    rows[k] = model.successor[s, k]
                    shares[k], covariances[k] = _spread(
                        model, policy[s], advantage[s], reached[s], s, k
                    )
                _add_rows(spare[s], shares, newer, rows)
                _add_rows(following[s], shares, current, rows)
                _add_rows(following[s], covariances, older, rows)
            older, newer, spare = newer, spare, older
            current, following = following, current
        slopes[r, 0], slopes[r, 1], gradient[r] = older, newer, current
        estimate[r] = 0.0
        for s in range(num_states):
            for j in range(size):
                estimate[r, j] += model.initial[s] * current[s, j]


@dataclass(frozen=True, eq=False)
class AMD:
    """Sweeps from where those of the update before ended; follower and leader in full view.

    The first update starts from the follower's own soft value, from Q_L = 0 and gradients of 0. The
    estimate is all in `indirect`: the recursion does not split it.

    Attributes:
        problem: its rewards and how θ moves them, alike for all actions of a state.
        temperature: β of each run, shape (R,).
        num_sweeps: of all tables together, per update.
    """

    problem: RewardModel
    temperature: Floats
    num_sweeps: int

    def start(self, streams: Streams) -> Memory:
        """Q_F and Q_L, (R, S, A), the last two ∂V_F, (R, 2, S, D), and ∂V_L, (R, S, D).

        Gradients get their size with the first θ.
        """
        num_runs, model = len(streams.seeds), self.problem.planner
        shape = (num_runs, model.num_states)
        tables = np.zeros((*shape, model.num_actions))
        return {
            "follower": tables, "leader": tables.copy(),
            "slopes": np.zeros((num_runs, 2, model.num_states, 0)),
            "gradient": np.zeros((*shape, 0)),
        }  # fmt: skip

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """∂V_L at the start after `num_sweeps` sweeps; costs no samples.

        Raises:
            ValueError: if a reward's gradient in θ depends on the action.
        """
        del streams
        problem, model = self.problem, self.problem.planner
        follower_reward = problem.follower_reward(theta)
        if memory["gradient"].shape[2] == 0:
            self._begin(theta, follower_reward, response, memory)
        size, found = (model.num_states, model.num_actions), np.empty_like(theta)
        _sweep(
            model, follower_reward, problem.leader_reward(theta),
            reward_slopes(problem.pull_back_follower_reward, theta, *size),
            reward_slopes(problem.pull_back_leader_reward, theta, *size),
            self.temperature, self.num_sweeps,
            memory["follower"], memory["leader"], memory["slopes"], memory["gradient"],
            found,
        )  # fmt: skip
        return Estimate(np.zeros_like(theta), found, np.full(len(theta), np.nan))

    def _begin(self, theta: Floats, reward: Floats, response: BestResponse, memory: Memory) -> None:
        model, (num_runs, size) = self.problem.planner, theta.shape
        memory["follower"][:] = reward
        for k, reached in enumerate(model.successor.T):
            going = model.discount[:, None] * model.probability[:, :, k]
            memory["follower"] += going * response.value[:, reached, None]
        memory["slopes"] = np.zeros((num_runs, 2, model.num_states, size))
        memory["gradient"] = np.zeros((num_runs, model.num_states, size))


def amd(group: Group[Any, TabularGame]) -> AMD:
    """AMD with the sweeps that its setting says."""
    return AMD(group.game.problem, group.temperature, group.shared.sweeps)
