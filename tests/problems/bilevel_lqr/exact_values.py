"""The leader's true action values in BilevelLQR, which change with the time left."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.problems.bilevel_lqr.closed_loop import (
    add_sandwich,
    closed_loop,
    widened_target,
)
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LeaderValues:
    """What the leader may expect from a transition on, knowing more or less of it.

    Attributes:
        q: Q_L(x, a, u), shape (R, E, T).
        q_follower_mean: E_u[Q_L(x, a, u)] over the follower's action, shape (R, E, T).
        q_state_mean: E_{a,u}[Q_L(x, a, u)] over both actions, the value of x, shape (R, E, T).
    """

    q: Floats
    q_follower_mean: Floats
    q_state_mean: Floats


@parallel_kernel
def _forecast(  # type: ignore[no-untyped-def]
    matrix, covariance, first_covariance, first_mean, target, target_scale, discount, horizon, value
):
    # value[r, c, e, t] = Σ_{1≤k<H-t} γᵏ E r_L(x_{t+k}), x_{t+1} ~ N(first_mean, first_covariance),
    # where c is what is known. The covariances do not depend on the transition.
    num_runs, num_kinds, num_episodes, num_steps, n = first_mean.shape
    for r in numba.prange(num_runs):
        precision = np.empty((horizon, n, n))
        amplitude = np.empty(horizon)
        mean, after, wider = np.empty(n), np.empty(n), np.empty((n, n))
        for c in range(num_kinds):
            spread = first_covariance[r, c].copy()
            weight = 1.0
            for k in range(1, horizon):
                weight *= discount
                amplitude[k] = weight * widened_target(target_scale, spread, precision[k])
                wider[:] = covariance[r]
                add_sandwich(matrix[r], spread, matrix[r], wider)
                spread[:] = wider
            for e in range(num_episodes):
                for t in range(num_steps):
                    for i in range(n):
                        mean[i] = first_mean[r, c, e, t, i]
                    for k in range(1, horizon - t):
                        distance = 0.0
                        for i in range(n):
                            pull = 0.0
                            after[i] = 0.0
                            for j in range(n):
                                pull += precision[k, i, j] * (mean[j] - target[j])
                                after[i] += matrix[r, i, j] * mean[j]
                            distance += pull * (mean[i] - target[i])
                        mean[:] = after
                        value[r, c, e, t] += amplitude[k] * np.exp(-0.5 * distance)


def exact_leader_values(
    problem: BilevelLQR,
    theta: Floats,
    response: LinearGaussianResponse,
    state: Floats,
    leader_action: Floats,
    follower_action: Floats,
    *,
    discount: float,
    horizon: int,
) -> LeaderValues:
    """Q_L with H - t steps left, for episodes of H steps that start at t = 0.

    Q_L(x, a, u) = r_L(x) + Σ_{1≤k<H-t} γᵏ E[r_L(x_{t+k}) | x, a, u]. All forecasts are Gaussian:
    knowing all three, x' is certain; without u it has the follower's spread; without both it has
    the closed loop's. Then each step applies x' = M x + noise once more.

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        response: what the follower plays, an answer to θ.
        state: x at times 0, 1, ..., T - 1, shape (R, E, T, n).
        leader_action: a, shape (R, E, T, l).
        follower_action: u, shape (R, E, T, m).
        discount: γ of the leader.
        horizon: H >= T.

    Raises:
        ValueError: if the episodes are longer than the horizon.
    """
    if state.shape[2] > horizon:
        raise ValueError(f"episodes of {state.shape[2]} steps exceed the horizon {horizon}")
    loop = closed_loop(problem, theta, response)
    expected = matrix_vector(loop.matrix[:, None, None], state)
    innovation = leader_action - matrix_vector(problem.gain(theta)[:, None, None], state)
    follower_mean = expected + matrix_vector(loop.action_matrix[:, None, None], innovation)
    known = problem.transition(state, leader_action, follower_action)
    means = np.stack([known, follower_mean, expected], axis=1)
    certain = np.zeros_like(loop.covariance)
    spreads = np.stack([certain, loop.follower_covariance, loop.covariance], axis=1)
    value = np.zeros(means.shape[:-1])
    _forecast(
        loop.matrix, loop.covariance, spreads, means, problem.target, problem.target_scale,
        discount, horizon, value,
    )  # fmt: skip
    total = problem.leader_reward(state)[:, None] + problem.leader_reward_scale * value
    return LeaderValues(*total.swapaxes(0, 1))
