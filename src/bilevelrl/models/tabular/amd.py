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

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.amd_sweeps import sweep
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
        sweep(
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
