"""Ground truth: J(θ) and its hypergradient in closed form, without sampling."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.exact import Hypergradient
from bilevelrl.models.tabular.elimination import solve
from bilevelrl.models.tabular.model import solve_policy, start_value
from bilevelrl.models.tabular.problem import RewardModel


def leader_return(problem: RewardModel, theta: Floats, policy: Floats) -> Floats:
    """J(θ) if the follower plays `policy` (R, S, A), by one linear solve per run; shape (R,)."""
    return start_value(problem.planner, policy, problem.leader_reward(theta))


@parallel_kernel
def _sensitivities(  # type: ignore[no-untyped-def]
    model, policy, reward, temperature, value, direct, indirect
):
    num_runs, num_states, num_actions = policy.shape
    num_successors = model.successor.shape[1]
    for r in numba.prange(num_runs):
        factors = np.empty(model.num_factors)
        solve_policy(model, policy[r], reward[r], factors, value[r])
        visits = model.initial.copy()
        solve(model, factors, True, visits)
        reached = np.zeros(num_states)
        q = np.empty(num_actions)
        for s in range(num_states):
            mean = 0.0
            for a in range(num_actions):
                expected = 0.0
                for k in range(num_successors):
                    expected += model.probability[s, a, k] * value[r, model.successor[s, k]]
                q[a] = reward[r, s, a] + model.discount[s] * expected
                mean += policy[r, s, a] * q[a]
            for a in range(num_actions):
                weight = visits[s] * policy[r, s, a]
                direct[r, s, a] = weight
                weight *= (q[a] - mean) / temperature[r]
                indirect[r, s, a] = weight
                discounted = weight * model.discount[s]
                for k in range(num_successors):
                    reached[model.successor[s, k]] += discounted * model.probability[s, a, k]
        solve(model, factors, True, reached)
        for s in range(num_states):
            for a in range(num_actions):
                indirect[r, s, a] += reached[s] * policy[r, s, a]


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """How J depends on every reward, for N policies.

    Attributes:
        value: the leader's V_L(s), shape (N, S).
        leader: ∂J/∂r_L(s, a) = d(s) π(a|s), the discounted visits, shape (N, S, A).
        follower: ∂J/∂r_F(s, a), through the best response, shape (N, S, A).
    """

    value: Floats
    leader: Floats
    follower: Floats


def reward_sensitivities(
    problem: RewardModel, theta: Floats, policy: Floats, temperature: Floats
) -> Sensitivities:
    """What `exact_hypergradient` pulls back to θ, of the same arguments."""
    value = np.empty(policy.shape[:2])
    direct, indirect = np.empty_like(policy), np.empty_like(policy)
    reward = problem.leader_reward(theta)
    _sensitivities(problem.planner, policy, reward, temperature, value, direct, indirect)
    return Sensitivities(value, direct, indirect)


def exact_hypergradient(
    problem: RewardModel, theta: Floats, policy: Floats, temperature: Floats
) -> Hypergradient:
    """Differentiate J(θ) through the follower's fixed point.

    With d the discounted visits and A_L the leader's advantage, the implicit function theorem gives
    ∂J/∂r_F(s, a) = d(s) π(a|s) A_L(s, a) / β plus what that weight reaches through γ P in later
    steps (the envelope theorem: ∂V_F = (I - γ P_π)⁻¹ Σ_a π ∂r_F), and ∂J/∂r_L(s, a) = d(s) π(a|s).
    `policy` is the follower's best response to θ, shapes (R, S, A) and (R, D); `temperature` (R,).
    """
    found = reward_sensitivities(problem, theta, policy, temperature)
    return Hypergradient(
        problem.pull_back_leader_reward(theta, found.leader),
        problem.pull_back_follower_reward(theta, found.follower),
        np.array([problem.planner.initial @ v for v in found.value]),
    )
