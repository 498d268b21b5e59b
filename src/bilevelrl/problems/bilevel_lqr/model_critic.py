"""A critic of BilevelLQR with the right features: the linear dynamics, from the leader's samples.

Given linear dynamics and linear-Gaussian policies every forecast of the state is Gaussian, and the
leader knows its own reward. So once A, B and C are known, Q_L and its slope have closed forms; and
they are known exactly after a few transitions, because the dynamics have no noise of their own.
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations
from bilevelrl.problems.bilevel_lqr.closed_loop import (
    ClosedLoop,
    add_sandwich,
    closed_loop,
    widened_target,
)
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector


@parallel_kernel
def _forecast(  # type: ignore[no-untyped-def]
    matrix, covariance, first_covariance, first_mean, target, target_scale, discount, horizon,
    value, slope,
):  # fmt: skip
    # value[r, n] = Σ_{1≤k<H-t} γᵏ E r_L(x_{t+k}) with x_{t+1} ~ N(first_mean, first_covariance),
    # and its derivative by first_mean; n runs over whole episodes.
    num_runs, num_steps, size = first_mean.shape
    for r in numba.prange(num_runs):
        precision = np.empty((horizon, size, size))
        carried = np.empty((horizon, size, size))  # (Mᵏ⁻¹)ᵀ S⁻¹
        amplitude = np.empty(horizon)
        power, grown = np.eye(size), np.empty((size, size))
        mean, after = np.empty(size), np.empty(size)
        spread, wider = first_covariance[r].copy(), np.empty((size, size))
        weight = 1.0
        for k in range(1, horizon):
            weight *= discount
            amplitude[k] = weight * widened_target(target_scale, spread, precision[k])
            for i in range(size):
                for j in range(size):
                    carried[k, i, j] = 0.0
                    grown[i, j] = 0.0
                    for m in range(size):
                        carried[k, i, j] += power[m, i] * precision[k, m, j]
                        grown[i, j] += matrix[r, i, m] * power[m, j]
            power[:] = grown
            wider[:] = covariance[r]
            add_sandwich(matrix[r], spread, matrix[r], wider)
            spread[:] = wider
        for n in range(num_steps):
            value[r, n] = 0.0
            for i in range(size):
                mean[i] = first_mean[r, n, i]
                slope[r, n, i] = 0.0
            for k in range(1, horizon - n % horizon):
                distance = 0.0
                for i in range(size):
                    pull = 0.0
                    after[i] = 0.0
                    for j in range(size):
                        pull += precision[k, i, j] * (mean[j] - target[j])
                        after[i] += matrix[r, i, j] * mean[j]
                    distance += pull * (mean[i] - target[i])
                reward = amplitude[k] * np.exp(-0.5 * distance)
                value[r, n] += reward
                for i in range(size):
                    for j in range(size):
                        slope[r, n, i] -= reward * carried[k, i, j] * (mean[j] - target[j])
                mean[:] = after


@dataclass(frozen=True, eq=False)
class LinearModelCritic:
    """Least squares of x' on (x, u, a) over all transitions so far.

    Attributes:
        problem: its dynamics are not read.
    """

    problem: BilevelLQR

    def start(self, num_runs: int) -> Memory:
        """Nothing seen."""
        states, actions = self.problem.leader_matrix.shape
        size = states + self.problem.follower_matrix.shape[1] + actions
        gram, moment = np.zeros((num_runs, size, size)), np.zeros((num_runs, size, states))
        return {"model_gram": gram, "model_moment": moment}

    def learn(self, batch: Observations, memory: Memory) -> None:
        """Add a batch to the normal equations."""
        arrays = (batch.state, batch.follower_action, batch.leader_action)
        inputs = np.concatenate(arrays, axis=-1)
        for run, (rows, after) in enumerate(zip(inputs, batch.next_state, strict=True)):
            memory["model_gram"][run] += rows.T @ rows
            memory["model_moment"][run] += rows.T @ after

    def dynamics(self, memory: Memory) -> tuple[Floats, Floats, Floats]:
        """A, B and C as far as they are known, shapes (R, n, n), (R, n, m), (R, n, l)."""
        gram, moment = memory["model_gram"], memory["model_moment"]
        scale = np.sqrt(np.maximum(np.diagonal(gram, axis1=1, axis2=2), np.finfo(float).tiny))
        unit = gram / (scale[:, :, None] * scale[:, None, :])
        damped = unit + 1e-14 * np.eye(unit.shape[1])
        solved = np.linalg.solve(damped, moment / scale[:, :, None]) / scale[:, :, None]
        states = moment.shape[2]
        last = states + self.problem.follower_matrix.shape[1]
        return solved[:, :states].mT, solved[:, states:last].mT, solved[:, last:].mT

    def evaluate(
        self, theta: Floats, response: LinearGaussianResponse, batch: Observations, memory: Memory
    ) -> dict[str, Floats]:
        """What the leader's return reacts to under the estimated dynamics, each of shape (R, N).

        Returns:
            `follower_advantage`, Q_L - E_u[Q_L]; `leader_advantage`, E_u[Q_L] - E_{a,u}[Q_L]; and
            `action_slope`, ∂/∂a E_u[Q_L] for a scalar a; all at (x, a, u).
        """
        known = self.loop(theta, response, memory)
        expected = self.expected_state(theta, known, batch)
        mean, slope = self._forecast(known, known.follower_covariance, expected)
        certain = np.zeros_like(known.covariance)
        value, _ = self._forecast(known, certain, batch.next_state)
        on_average = matrix_vector(known.matrix[:, None], batch.state)
        state_value, _ = self._forecast(known, known.covariance, on_average)
        by_action = matrix_vector(known.action_matrix.mT[:, None], slope)
        return {
            "follower_advantage": value - mean,
            "leader_advantage": mean - state_value,
            "action_slope": by_action[:, :, 0],
        }

    def loop(self, theta: Floats, response: LinearGaussianResponse, memory: Memory) -> ClosedLoop:
        """The closed loop under the estimated dynamics; the follower's gains are as they are."""
        return closed_loop(self.problem, theta, response, self.dynamics(memory))

    def expected_state(self, theta: Floats, loop: ClosedLoop, batch: Observations) -> Floats:
        """E[x' | x, a], shape (R, N, n)."""
        gain = self.problem.gain(theta)[:, None]
        innovation = batch.leader_action - matrix_vector(gain, batch.state)
        return matrix_vector(loop.matrix[:, None], batch.state) + matrix_vector(
            loop.action_matrix[:, None], innovation
        )

    def _forecast(
        self, loop: ClosedLoop, first_covariance: Floats, first_mean: Floats
    ) -> tuple[Floats, Floats]:
        problem = self.problem
        value, slope = np.empty(first_mean.shape[:2]), np.empty(first_mean.shape)
        arrays = (loop.matrix, loop.covariance, first_covariance, first_mean)
        _forecast(
            *(np.ascontiguousarray(array) for array in arrays), problem.target,
            problem.target_scale, problem.leader_discount, problem.max_episode_steps, value, slope,
        )  # fmt: skip
        scale = problem.leader_reward_scale
        return scale * value, scale * slope
