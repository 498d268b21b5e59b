"""The unrolled follower of a finite process: differentiate K sweeps of its soft value iteration.

The sweeps are Q_k = r_F + γ P V_{k-1} with V_k = β log Σ_a exp(Q_k / β), k = 1 to K, and π_K is
proportional to exp(Q_K / β). What they start from counts as a constant. In reverse,

    w_K(s, a) = d(s) π_K(a|s) A_L(s, a) / β,
    w_{k-1}(s', a') = π_{k-1}(a'|s') γ Σ_sa w_k(s, a) P(s'|s, a),

and dJ/dr_F = Σ_k w_k: what the follower's reward does to J(π_K) within K sweeps. It needs the whole
model. As K grows it becomes the exact hypergradient; K = 1 sees a reward's effect on the very next
choice only. Differentiation through few sweeps is what penalty-free bi-level methods unroll.
"""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.elimination import solve
from bilevelrl.models.tabular.model import solve_policy
from bilevelrl.models.tabular.problem import RewardModel
from bilevelrl.models.tabular.soft_policy_iteration import soft_bellman

#: What the sweeps start from: the follower's answer, or a value of 0.
Start = Literal["answer", "zero"]


@kernel
def _last_weights(model, policy, reward, temperature, value, direct, weight):  # type: ignore[no-untyped-def]
    # The visits d π into `direct`, and d π A_L / β, how J moves with Q_K, into `weight`.
    num_states, num_actions = policy.shape
    factors, q = np.empty(model.num_factors), np.empty(num_actions)
    solve_policy(model, policy, reward, factors, value)
    visits = model.initial.copy()
    solve(model, factors, True, visits)
    for s in range(num_states):
        mean = 0.0
        for a in range(num_actions):
            expected = 0.0
            for k in range(model.successor.shape[1]):
                expected += model.probability[s, a, k] * value[model.successor[s, k]]
            q[a] = reward[s, a] + model.discount[s] * expected
            mean += policy[s, a] * q[a]
        for a in range(num_actions):
            direct[s, a] = visits[s] * policy[s, a]
            weight[s, a] = direct[s, a] * (q[a] - mean) / temperature


@kernel
def _step_back(model, weight, reached):  # type: ignore[no-untyped-def]
    # What weights on Q_k put on V_{k-1}, shape (S,).
    num_states, num_actions, num_successors = model.probability.shape
    reached[:] = 0.0
    for s in range(num_states):
        for k in range(num_successors):
            moved = 0.0
            for a in range(num_actions):
                moved += weight[s, a] * model.probability[s, a, k]
            reached[model.successor[s, k]] += model.discount[s] * moved


@parallel_kernel
def _unroll(  # type: ignore[no-untyped-def]
    model, leader_reward, follower_reward, temperature, sweeps, start, direct, follower, returned
):
    num_runs, num_states, num_actions = follower_reward.shape
    for r in numba.prange(num_runs):
        played = np.empty((sweeps[r], num_states, num_actions))
        value, ahead = start[r].copy(), np.empty(num_states)
        for k in range(sweeps[r]):
            soft_bellman(model, follower_reward[r], temperature[r], value, played[k], ahead)
            value[:] = ahead
        weight, reached = np.empty((num_states, num_actions)), np.empty(num_states)
        _last_weights(model, played[-1], leader_reward[r], temperature[r], value, direct[r], weight)
        returned[r] = 0.0
        for s in range(num_states):
            returned[r] += model.initial[s] * value[s]
        follower[r] = weight
        for k in range(sweeps[r] - 2, -1, -1):
            _step_back(model, weight, reached)
            for s in range(num_states):
                for a in range(num_actions):
                    weight[s, a] = reached[s] * played[k, s, a]
                    follower[r, s, a] += weight[s, a]


@dataclass(frozen=True, eq=False)
class Unrolled:
    """What K sweeps make of θ.

    Attributes:
        direct: through the leader's own reward, π_K held fixed, shape (R, D).
        indirect: through the K sweeps, shape (R, D).
        leader_return: J of π_K, shape (R,).
    """

    direct: Floats
    indirect: Floats
    leader_return: Floats


def unrolled(
    problem: RewardModel, theta: Floats, temperature: Floats, sweeps: Index, start: Floats
) -> Unrolled:
    """Differentiate J(π_K(θ), θ), the value that the sweeps start from held fixed.

    Args:
        problem: θ acts through its rewards.
        theta: shape (R, D).
        temperature: β of each run, shape (R,).
        sweeps: K of each run, shape (R,).
        start: V_0 of each run, shape (R, S).

    Raises:
        ValueError: if a K is not positive.
    """
    for run, number in enumerate(sweeps):
        if number < 1:
            raise ValueError(f"sweeps = {number} of run {run}: at least 1 is needed")
    reward = problem.follower_reward(theta)
    direct, follower, returned = np.empty_like(reward), np.empty_like(reward), np.empty(len(theta))
    _unroll(
        problem.planner, problem.leader_reward(theta), reward, temperature, sweeps, start,
        direct, follower, returned,
    )  # fmt: skip
    return Unrolled(
        problem.pull_back_leader_reward(theta, direct),
        problem.pull_back_follower_reward(theta, follower),
        returned,
    )


@dataclass(frozen=True, eq=False)
class UnrolledAgent:
    """Implements `core.estimator.Estimator`; costs no samples.

    Attributes:
        problem: the bi-level problem.
        temperature: β of each run, shape (R,).
        sweeps: K of each run, shape (R,).
        start_from: "answer" starts the sweeps from the value of the follower's answer, "zero" from
            0.
    """

    problem: RewardModel
    temperature: Floats
    sweeps: Index
    start_from: Start = "answer"

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The derivative through K sweeps."""
        del memory, streams
        first = response.value if self.start_from == "answer" else np.zeros_like(response.value)
        found = unrolled(self.problem, theta, self.temperature, self.sweeps, first)
        return Estimate(found.direct, found.indirect, np.full(len(theta), np.nan))
