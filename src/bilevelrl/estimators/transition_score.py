"""BC-HG and Naive-PGD of a leader that shapes the transition (arXiv 2603.14867).

θ enters through p(s' | s, a; θ) and a cost of its own, hence

    direct   = E[Σ_t γ^t ∇r_L + Σ_t γ^{t+1} V_L(s_{t+1}) ∇ log p(s_{t+1} | s_t, a_t)],
    indirect = (1/β) E[Σ_k e_k ψ_k],   e_k = γ e_{k-1} + γ^k A_L(k),
    ψ_k      = γ V_F(s_{k+1}) ∇ log p(s_{k+1} | s_k, a_k).

The score's variance grows as 1 / σ². Its mean is zero, so that f(s') - f(E[s' | s, a]) may take the
place of f(s') ("centred"). The leader knows its own building, s' = A(θ) s + B a + σ z, so that
∇f(s')ᵀ (∂A/∂θ) s may take the place of f(s') ∇ log p ("pathwise"; Kingma and Welling 2014).
Naive-PGD has no indirect part, and HPGD, in `transition_hpgd`, another one.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.compilation import parallel_kernel
from bilevelrl.critics.thermal import LeaderValues, ThermalCritic
from bilevelrl.estimators.control_variate import ControlVariate
from bilevelrl.estimators.protocol import Estimate, Memory
from bilevelrl.estimators.trace import forward_trace, powers, sensitivity_to_come
from bilevelrl.followers.thermal_regulator import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.observations import Observations, discounted_return
from bilevelrl.problems.thermal_control import ThermalControl
from bilevelrl.problems.thermal_design import ThermalDesign
from bilevelrl.problems.thermal_rollout import ThermalBatch, ThermalRollout
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]
Form = Literal["score", "centred", "pathwise"]


class Sampler(Protocol):
    """What every estimator of this family knows; read-only."""

    @property
    def problem(self) -> ThermalControl | ThermalDesign: ...  # noqa: D102

    @property
    def critic(self) -> ThermalCritic: ...  # noqa: D102

    @property
    def form(self) -> Form: ...  # noqa: D102

    @property
    def max_score_norm(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch and what the critic says about it.

    Attributes:
        batch: whole episodes.
        reward: r_L, shape (R, N).
        values: of the batch's rows.
        weight: γ^t over the number of episodes, shape (N,).
        goes_on: 1 where the episode has a next step, else 0, shape (N,).
    """

    batch: ThermalBatch
    reward: Floats
    values: LeaderValues
    weight: Floats
    goes_on: Floats


def draw(
    sampler: Sampler,
    rollout: ThermalRollout,
    theta: Floats,
    response: RegulatorResponse,
    streams: Streams,
) -> Drawn:
    """Sample whole episodes and let the critic learn from them."""
    problem = rollout.problem
    batch = rollout.sample(theta, response, streams)
    reward = problem.operating_reward(batch.state, batch.action)
    reward -= problem.configuration_cost(theta)[:, None]
    return weigh(sampler, theta, response, batch, reward, streams)


def weigh(
    sampler: Sampler,
    theta: Floats,
    response: RegulatorResponse,
    batch: ThermalBatch,
    reward: Floats,
    streams: Streams,
) -> Drawn:
    """Let the critic learn from whole episodes with rewards r_L (R, N)."""
    problem = sampler.problem
    values = sampler.critic.evaluate(theta, response, batch, reward, streams)
    horizon = problem.max_episode_steps
    episodes = reward.shape[1] // horizon
    weight = np.tile(powers(problem.discount, horizon) / episodes, episodes)
    goes_on = np.tile((np.arange(horizon) < horizon - 1).astype(np.float64), episodes)
    return Drawn(batch, reward, values, weight, goes_on)


def score(problem: ThermalControl | ThermalDesign, theta: Floats, batch: ThermalBatch) -> Floats:
    """∇_θ log p(s' | s, a; θ), 0 for a component whose mean was clipped, shape (R, N, D)."""
    assert isinstance(problem, ThermalControl)  # a design alone does not tell the noise
    return problem.pushed(theta, batch.state, batch.surprise / problem.noise**2)


def sensitivity(
    sampler: Sampler, theta: Floats, response: RegulatorResponse, drawn: Drawn
) -> Floats:
    """ψ of every row, 0 in the last of an episode, shape (R, N, D)."""
    problem, batch = sampler.problem, drawn.batch
    factor = problem.discount * drawn.goes_on[:, None]
    if sampler.form == "score":
        return factor * response.value(batch.next_state)[:, :, None] * score(problem, theta, batch)
    slope = response.value_slope(batch.next_state)
    return factor * _moved(sampler, theta, batch, slope)


def _moved(sampler: Sampler, theta: Floats, batch: ThermalBatch, slope: Floats) -> Floats:
    """One-sample ∇_θ E[f(s') | s, a] from ∇f(s'), "centred" or "pathwise", shape (R, N, D)."""
    problem = sampler.problem
    if sampler.form == "pathwise":
        inside = np.where(batch.surprise == 0.0, 0.0, slope)  # a clipped mean does not move
        return problem.pushed(theta, batch.state, inside)
    # f(s') - f(E s') up to a term of second order, whose covariance with the score is zero.
    rise: Floats = (slope * batch.surprise).sum(axis=2)
    return rise[:, :, None] * score(problem, theta, batch)


def expected_sensitivity(
    follower: ThermalRegulator, theta: Floats, response: RegulatorResponse, batch: ThermalBatch
) -> Floats:
    """E[∇_θ Q_F | s, a] - E[∇_θ Q_F | s] of every row, shape (R, N, D).

    With e = a + K s and S = (β/2) Σ⁻¹ this is -(2 eᵀ S ∂K s + eᵀ ∂S e - tr ∂S Σ) (spec 13.3): what
    the pathwise samples average to under the leader's model of its building.
    """
    slopes, half = follower.slopes(theta, response), 0.5 * follower.temperature
    precision = np.linalg.inv(response.covariance)
    # S Σ = β/2, so ∂S = -(β/2) Σ⁻¹ ∂Σ Σ⁻¹.
    inner = precision[:, None] @ slopes.covariance @ precision[:, None]
    curvature = -half[:, None, None, None] * inner
    tilt = 2.0 * half[:, None, None, None] * (precision[:, None] @ slopes.gain)
    result = np.empty((*batch.state.shape[:2], theta.shape[1]))
    mean = (curvature * response.covariance[:, None]).sum(axis=(2, 3))
    error = batch.action + batch.state @ response.gain.mT
    _expected(error, batch.state, tilt, curvature, mean, result)
    return result


@parallel_kernel
def _expected(error, state, tilt, curvature, mean, result):  # type: ignore[no-untyped-def]
    num_runs, num_steps, units = error.shape
    zones = state.shape[2]
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for p in range(result.shape[2]):
                total = mean[r, p]
                for i in range(units):
                    inner = 0.0
                    for j in range(zones):
                        inner += tilt[r, p, i, j] * state[r, n, j]
                    for j in range(units):
                        inner += curvature[r, p, i, j] * error[r, n, j]
                    total -= error[r, n, i] * inner
                result[r, n, p] = total


def direct_term(sampler: Sampler, theta: Floats, drawn: Drawn) -> Floats:
    """The part through the transition, the follower's policy held fixed, shape (R, D)."""
    problem, batch = sampler.problem, drawn.batch
    weight = problem.discount * drawn.weight * drawn.goes_on
    if sampler.form == "score":
        own = score(problem, theta, batch)
        if sampler.max_score_norm is not None:
            _clip_halves(own, sampler.max_score_norm)
        return weighted_sum(weight * np.roll(drawn.values.value, -1, axis=1), own)
    assert drawn.values.slope is not None  # the critic is chosen by the cell
    moved = _moved(sampler, theta, batch, np.roll(drawn.values.slope, -1, axis=1))
    return weighted_sum(np.broadcast_to(weight, moved.shape[:2]), moved)


@parallel_kernel
def _clip_halves(score, max_norm):  # type: ignore[no-untyped-def]
    # Insulation and airflow are clipped apart.
    num_runs, num_steps, size = score.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for first in range(0, size, size // 2):
                square = 0.0
                for p in range(first, first + size // 2):
                    square += score[r, n, p] ** 2
                if square > max_norm**2:
                    for p in range(first, first + size // 2):
                        score[r, n, p] *= max_norm / np.sqrt(square)


def weighted_sum(weights: Floats, vectors: Floats) -> Floats:
    """Σ_n w_n v_n, shape (R, D), for weights (R, N) and vectors (R, N, D)."""
    total = np.zeros((len(vectors), vectors.shape[2]))
    _weighted_sum(weights, vectors, total)
    return total


@parallel_kernel
def _weighted_sum(weights, vectors, total):  # type: ignore[no-untyped-def]
    num_runs, num_steps, size = vectors.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for p in range(size):
                total[r, p] += weights[r, n] * vectors[r, n, p]


def finish(sampler: Sampler, theta: Floats, drawn: Drawn, indirect: Floats) -> Estimate:
    """The estimate of dJ/dθ from an indirect part, shape (R, D), and the batch it came from."""
    problem = sampler.problem
    horizon = problem.max_episode_steps
    steps = powers(problem.discount, horizon).sum()
    return Estimate(
        direct_term(sampler, theta, drawn) - steps * problem.configuration_cost_slope(theta),
        indirect,
        discounted_return(drawn.reward, horizon, problem.discount),
        env_steps=drawn.reward.shape[1],
    )


def features(state: Floats) -> Floats:
    """1 and all s_i s_j, i <= j, shape (R, N, F): ∇_θ V_F is a combination of them."""
    rows, columns = np.triu_indices(state.shape[2])
    products = state[:, :, rows] * state[:, :, columns]
    return np.concatenate([np.ones((*state.shape[:2], 1)), products], axis=2)


@dataclass(frozen=True, eq=False)
class TransitionScore:
    """BC-HG, and Naive-PGD without a temperature.

    Attributes:
        problem: the bi-level problem, or what the leader knows of it, which is enough for the
            pathwise form.
        rollout: how batches are drawn; None where they are handed over.
        critic: of Q_L and V_L; V_L is enough for Naive-PGD.
        temperature: β of each run, shape (R,); None leaves the indirect part out.
        form: "score", "centred" or "pathwise", of both parts.
        max_score_norm: clip of each score in the direct part, insulation and airflow apart
            (released code); None clips nothing, which alone is unbiased.
        control: baseline of the follower's side, see `control_variate`; None has none.
        expectation: takes the place of the trace and of the control variate by what the samples of
            the sensitivity average to, see `expected_sensitivity`; None samples.
    """

    problem: ThermalControl | ThermalDesign
    rollout: ThermalRollout | None
    critic: ThermalCritic
    temperature: Floats | None
    form: Form = "score"
    max_score_norm: float | None = None
    control: ControlVariate | None = None
    expectation: ThermalRegulator | None = None

    def start(self, streams: Streams) -> Memory:
        """What the control variate has seen: nothing."""
        return {} if self.control is None else self.control.start(streams)

    def estimate(
        self, theta: Floats, response: RegulatorResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Draw a batch and estimate both parts from it."""
        assert self.rollout is not None  # whoever hands batches over does not ask
        drawn = draw(self, self.rollout, theta, response, streams)
        return self._from(drawn, theta, response, memory)

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: RegulatorResponse,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """Estimate both parts from a batch that was handed over.

        Whether the mean of a transition was clipped cannot be seen, and is taken not to happen.
        """
        unknown = np.full(batch.next_state.shape, np.nan)
        seen = ThermalBatch(batch.state, batch.follower_action, batch.next_state, unknown)
        drawn = weigh(self, theta, response, seen, batch.leader_reward, streams)
        return self._from(drawn, theta, response, memory)

    def _from(
        self, drawn: Drawn, theta: Floats, response: RegulatorResponse, memory: Memory
    ) -> Estimate:
        if self.temperature is None:
            return finish(self, theta, drawn, np.zeros_like(theta))
        assert drawn.values.action_value is not None  # the critic is chosen by the cell
        horizon, discount = self.problem.max_episode_steps, self.problem.discount
        injection = drawn.weight * (drawn.values.action_value - drawn.values.value)
        if self.expectation is not None:
            expected = expected_sensitivity(self.expectation, theta, response, drawn.batch)
            total = weighted_sum(injection, expected)
            return finish(self, theta, drawn, total / self.temperature[:, None])
        trace = forward_trace(injection, horizon, discount, include_current=True)
        own = sensitivity(self, theta, response, drawn)
        total = weighted_sum(trace, own)
        if self.control is not None:
            self.control.refresh(memory)
            known = features(drawn.batch.state)
            total -= self.control.mean(known, injection, memory)
            to_come = own + sensitivity_to_come(own, horizon, discount)
            self.control.see(known, to_come, memory)
        return finish(self, theta, drawn, total / self.temperature[:, None])
