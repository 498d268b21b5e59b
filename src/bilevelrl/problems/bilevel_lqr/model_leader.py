"""BC-HG in BilevelLQR with a critic that converges, as `core.score_function` sees it.

Two forms of the same two expectations. The score's variance grows as 1 / W²; the leader plays
a = K x + W ξ and knows it, so that ∂a/∂K = x can take the score's place (reparametrisation; Kingma
and Welling 2014):

    direct:      E[A ∇ log f]    =  E[∂/∂a E_u Q_L(x, a, u) · ∂a/∂K],
    sensitivity: E[A_F ∇ log f]  =  E[∂/∂a V_F(x, a) · ∂a/∂K].
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.covariance import weighted_sum
from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, pushed
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR, matrix_vector
from bilevelrl.problems.bilevel_lqr.rollout import linear_score

Form = Literal["score", "pathwise"]


@dataclass(frozen=True, eq=False)
class ModelLeader:
    """All three kinds of leader of `core.score_function`, for a scalar action and whole batches.

    Attributes:
        problem: the bi-level problem, or what the leader knows of it.
        critic: of Q_L and its slope.
        form: of both terms.
    """

    problem: BilevelLQR
    critic: LinearModelCritic
    form: Form = "score"

    def start(self, streams: Streams) -> Memory:
        """The critic."""
        return self.critic.start(len(streams.seeds))

    def learn(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        stored: Observations,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Let the critic learn, then ask it about the batch."""
        del stored, streams
        self.critic.learn(batch, memory)
        memory["answered"] = theta
        memory.update(self.critic.evaluate(theta, response, batch, memory))

    def leader_advantage(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """What multiplies the score, or ∂a/∂K, in the direct term, shape (R, N)."""
        del theta, response, drawn, time, streams
        return memory["leader_advantage" if self.form == "score" else "action_slope"]

    def follower_side_advantage(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """Q_L - E_u[Q_L], shape (R, N)."""
        del theta, response, drawn, time, streams
        return memory["follower_advantage"]

    def follower_factor(
        self, theta: Floats, response: LinearGaussianResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F, or ∂V_F(x, a)/∂a, which multiplies ∂a/∂K, shape (R, N)."""
        del theta
        problem, answered = self.problem, memory["answered"]
        if self.form == "score":
            value = response.value(problem, answered, batch.state, batch.leader_action)
            return value - self._mean_value(response, answered, batch.state)
        push = pushed(problem, answered, batch.state, batch.leader_action)
        inner = matrix_vector(response.cross.mT[:, None], batch.state) + matrix_vector(
            response.noise[:, None], push
        )
        slope: Floats = -2.0 * matrix_vector(problem.leader_matrix.T, inner)
        return slope[:, :, 0]

    def sensitivity(
        self, theta: Floats, response: LinearGaussianResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F ∇ log f, or ∂V_F(x, a)/∂a · ∂a/∂K, shape (R, N, D)."""
        factor = self.follower_factor(theta, response, batch, memory)
        return factor[:, :, None] * self._slope(theta, batch.state, batch.leader_action)

    def _slope(self, theta: Floats, state: Floats, action: Floats) -> Floats:
        # ∇ log f, or ∂a/∂K, shape (R, N, D).
        if self.form == "pathwise":
            return state
        return linear_score(self.problem, theta, state, action)

    def _mean_value(self, response: LinearGaussianResponse, theta: Floats, state: Floats) -> Floats:
        # V_F is quadratic in the leader's innovation, whose covariance is W² I.
        problem = self.problem
        expected = matrix_vector(problem.gain(theta)[:, None], state)
        curvature = problem.leader_matrix.T @ response.noise @ problem.leader_matrix
        added: Floats = np.square(problem.leader_noise) * np.trace(curvature, axis1=1, axis2=2)
        return response.value(problem, theta, state, expected) - added[:, None]

    def expected_sensitivity(
        self, theta: Floats, response: LinearGaussianResponse, batch: Observations, memory: Memory
    ) -> Floats:
        """E[∇_θ Q_F | x, a, u] - E[∇_θ Q_F | x, a] under the critic's dynamics, shape (R, N, D).

        ψ averages to xᵀ Ψ x over the leader's noise, so that what is to come after x' is
        γ_F x'ᵀ H x' plus a constant, with the Lyapunov sum H = Σ_k γ_Fᵏ (Mᵏ)ᵀ Ψ Mᵏ.
        """
        problem, gamma = self.problem, self.problem.follower_discount
        known = self.critic.loop(theta, response, memory)
        per_action = response.cross @ problem.leader_matrix  # (R, n, l)
        units = np.eye(per_action.shape[1])
        outer = per_action.mT[:, :, None, :, None] * units[None, None, :, None, :]
        outer = outer.reshape(len(theta), -1, *units.shape)  # one n x n matrix per parameter
        form = discounted_sum(np.sqrt(gamma) * known.matrix[:, None], -(outer + outer.mT))
        expected = self.critic.expected_state(theta, known, batch)
        after = _quadratic(form, batch.next_state) - _quadratic(form, expected)
        spread = (form * known.follower_covariance[:, None]).sum(axis=(2, 3))
        centred: Floats = gamma * (after - spread[:, None, :])
        return centred

    def expected_sum(
        self,
        theta: Floats,
        response: LinearGaussianResponse,
        batch: Observations,
        injection: Floats,
        memory: Memory,
    ) -> Floats:
        """Σ_k i_k times the `expected_sensitivity`, shape (R, D)."""
        expected = self.expected_sensitivity(theta, response, batch, memory)
        return weighted_sum(injection, expected)

    def from_coordinates(self, theta: Floats, coordinates: Floats) -> Floats:
        """Sensitivities are gradients already."""
        del theta
        return coordinates

    def features(self, batch: Observations) -> Floats:
        """1 and all products x_i x_j, i <= j, shape (R, N, F); E[∇_θ Q_F | x, a] is quadratic."""
        rows, columns = np.triu_indices(batch.state.shape[2])
        products = batch.state[:, :, rows] * batch.state[:, :, columns]
        return np.concatenate([np.ones((*batch.leader_reward.shape, 1)), products], axis=-1)

    def pull_back(self, theta: Floats, state: Floats, action: Floats, weights: Floats) -> Floats:
        """Σ_k w_k ∇ log f, or Σ_k w_k ∂a/∂K, shape (R, D)."""
        return weighted_sum(weights, self._slope(theta, state, action))


def _quadratic(forms: Floats, vectors: Floats) -> Floats:
    """xᵀ F x for every form F (R, D, n, n) and vector x (R, N, n), shape (R, N, D)."""
    products: Floats = np.einsum("rdij,rki,rkj->rkd", forms, vectors, vectors)
    return products
