"""On-policy batches of BilevelLQR."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import Information, Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector


@dataclass(frozen=True, eq=False)
class LinearRollout:
    """Whole episodes of BilevelLQR; implements `sampled.Sampler`.

    Attributes:
        problem: the bi-level problem.
        num_episodes: per batch and run.
        information: what the leader sees; "rewards" adds the follower's.
    """

    problem: BilevelLQR
    num_episodes: int
    information: Information = "full"

    @property
    def env_steps(self) -> int:
        """Transitions per batch and run."""
        return self.num_episodes * self.problem.max_episode_steps

    def observe(
        self, theta: Floats, follower: LinearGaussianResponse, streams: Streams, *, at_random: bool
    ) -> Observations:
        """A batch under a = K x + W ξ, or under a = ξ if `at_random`, and the follower's answer."""
        problem, runs, horizon = self.problem, len(theta), self.problem.max_episode_steps
        states, actions = problem.leader_matrix.shape
        controls = problem.follower_matrix.shape[1]
        noise = streams.normals("rollout", (self.num_episodes, horizon, actions + controls))
        spread = np.linalg.cholesky(follower.covariance).astype(np.float64)[:, None]
        gain = problem.gain(theta)[:, None]
        shape = (runs, self.num_episodes, horizon)
        state, after = np.empty((*shape, states)), np.empty((*shape, states))
        leader, played = np.empty((*shape, actions)), np.empty((*shape, controls))
        x: Floats = np.broadcast_to(problem.initial_state, (runs, self.num_episodes, states))
        for t in range(horizon):
            a: Floats = noise[:, :, t, :actions]
            if not at_random:
                a = matrix_vector(gain, x) + problem.leader_noise * a
            answer = follower.mean_action(problem, theta, x, a)
            u = answer + matrix_vector(spread, noise[:, :, t, actions:])
            state[:, :, t], leader[:, :, t], played[:, :, t] = x, a, u
            x = problem.transition(x, a, u)
            after[:, :, t] = x
        flat = (runs, self.num_episodes * horizon, -1)
        reward = problem.leader_reward(state).reshape(runs, -1)
        other = None
        if self.information == "rewards":
            other = problem.follower_reward(state, played).reshape(runs, -1)
        return Observations(
            state.reshape(flat), leader.reshape(flat), played.reshape(flat), after.reshape(flat),
            reward, other,
        )  # fmt: skip


def linear_score(problem: BilevelLQR, theta: Floats, state: Floats, action: Floats) -> Floats:
    """∇_K log f(a | x) = (a - K x) xᵀ / W², flattened, shape (R, N, D), for x and a (R, N, ...)."""
    gain = problem.gain(theta)[:, None]
    innovation = (action - matrix_vector(gain, state)) / np.square(problem.leader_noise)
    score: Floats = innovation[:, :, :, None] * state[:, :, None, :]
    return score.reshape(*state.shape[:2], -1)
