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

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.covariance import covariance_term, expected_covariance_term, weighted_sum
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import powers, sensitivity_to_come
from bilevelrl.problems.thermal_control.critic import LeaderValues, ThermalCritic
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.rollout import ThermalBatch

Floats = NDArray[np.float64]
Form = Literal["score", "centred", "pathwise"]


class Transitional(Protocol):
    """What every estimator of this family knows; read-only."""

    @property
    def design(self) -> ThermalDesign: ...  # noqa: D102

    @property
    def critic(self) -> ThermalCritic: ...  # noqa: D102

    @property
    def form(self) -> Form: ...  # noqa: D102

    @property
    def noise(self) -> float | None: ...  # noqa: D102

    @property
    def max_score_norm(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch and what the critic says about it.

    Attributes:
        batch: whole episodes.
        values: of the batch's rows.
        weight: γ^t over the number of episodes, shape (N,).
        goes_on: 1 where the episode has a next step, else 0, shape (N,).
    """

    batch: ThermalBatch
    values: LeaderValues
    weight: Floats
    goes_on: Floats


def weigh(
    estimator: Transitional,
    theta: Floats,
    response: RegulatorResponse,
    batch: ThermalBatch,
    streams: Streams,
) -> Drawn:
    """Let the critic learn from whole episodes."""
    design, reward = estimator.design, batch.leader_reward
    values = estimator.critic.evaluate(theta, response, batch, reward, streams)
    horizon = design.max_episode_steps
    episodes = reward.shape[1] // horizon
    weight = np.tile(powers(design.discount, horizon) / episodes, episodes)
    goes_on = np.tile((np.arange(horizon) < horizon - 1).astype(np.float64), episodes)
    return Drawn(batch, values, weight, goes_on)


@dataclass(frozen=True, eq=False)
class Slopes:
    """v = c xᵀ (∂A/∂θ) s of every transition, of which only scalars and pushes are kept.

    Attributes:
        design: the leader's own.
        theta: shape (R, D).
        state: s, shape (R, N, n).
        push: x, shape (R, N, n).
        scale: c, shape (R, N).
    """

    design: ThermalDesign
    theta: Floats
    state: Floats
    push: Floats
    scale: Floats

    def pull_back(self, weights: Floats) -> Floats:
        """Σ_k w_k v_k, shape (R, D), for weights (R, N)."""
        return self.design.pull_back(self.theta, self.state, self.push, weights * self.scale)

    def rows(self) -> Floats:
        """Every v, shape (R, N, D): for control variates and clips, which need single ones."""
        pushed = self.design.pushed(self.theta, self.state, self.push)
        return self.scale[:, :, None] * pushed


def score_push(noise: float | None, batch: ThermalBatch) -> Floats:
    """The push x of ∇_θ log p(s' | s, a; θ), 0 for a component whose mean was clipped, (R, N, n).

    Raises:
        ValueError: if `noise`, σ, or the batch's innovation is not known.
    """
    if noise is None or batch.innovation is None:
        raise ValueError("the score needs the building's noise; form = 'pathwise' does without")
    push: Floats = batch.innovation / noise**2
    return push


def moved(
    estimator: Transitional,
    theta: Floats,
    batch: ThermalBatch,
    value: Callable[[], Floats],
    slope: Callable[[], Floats],
    scale: Floats,
) -> Slopes:
    """One-sample ∇_θ E[f(s') | s, a] of every transition, in the estimator's form.

    Args:
        estimator: its form and what it knows.
        theta: shape (R, D).
        batch: transitions.
        value: f(s'), shape (R, N); asked by the form "score".
        slope: ∂f/∂s', shape (R, N, n); asked by the other two.
        scale: multiplies every sample, shape (N,).
    """
    state, innovation = batch.state, batch.innovation
    if estimator.form == "pathwise":
        push = slope()
        if innovation is not None:
            push = np.where(innovation == 0.0, 0.0, push)  # a clipped mean does not move
        return Slopes(estimator.design, theta, state, push, np.broadcast_to(scale, state.shape[:2]))
    push = score_push(estimator.noise, batch)
    if estimator.form == "score":
        return Slopes(estimator.design, theta, state, push, scale * value())
    assert innovation is not None  # the score was made of it
    # f(s') - f(E s') up to a term of second order, whose covariance with the score is zero.
    rise: Floats = (slope() * innovation).sum(axis=2)
    return Slopes(estimator.design, theta, state, push, scale * rise)


def sensitivity(
    estimator: Transitional, theta: Floats, response: RegulatorResponse, drawn: Drawn
) -> Slopes:
    """ψ of every row, 0 in the last of an episode."""
    after = drawn.batch.next_state
    return moved(
        estimator,
        theta,
        drawn.batch,
        lambda: response.value(after),
        lambda: response.value_slope(after),
        estimator.design.discount * drawn.goes_on,
    )


def expected_sensitivity(
    follower: ThermalRegulator, theta: Floats, response: RegulatorResponse, batch: ThermalBatch
) -> Floats:
    """E[∇_θ Q_F | s, a] - E[∇_θ Q_F | s] of every row, shape (R, N, D).

    With e = a + K s and S = (β/2) Σ⁻¹ this is -(2 eᵀ S ∂K s + eᵀ ∂S e - tr ∂S Σ): what
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
    error = batch.follower_action + batch.state @ response.gain.mT
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


def direct_term(estimator: Transitional, theta: Floats, drawn: Drawn) -> Floats:
    """The part through the transition, the follower's policy held fixed, shape (R, D)."""
    values, goes_on = drawn.values, estimator.design.discount * drawn.goes_on

    def slope() -> Floats:
        assert values.slope is not None  # the critic is chosen by the cell
        return np.roll(values.slope, -1, axis=1)

    following = np.roll(values.value, -1, axis=1)
    own = moved(estimator, theta, drawn.batch, lambda: following, slope, goes_on)
    weight = np.broadcast_to(drawn.weight, following.shape)
    if estimator.form != "score" or estimator.max_score_norm is None:
        return own.pull_back(weight)
    scores = replace(own, scale=np.ones_like(following)).rows()
    _clip_halves(scores, estimator.max_score_norm)
    return weighted_sum(weight * own.scale, scores)


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


def finish(estimator: Transitional, theta: Floats, drawn: Drawn, indirect: Floats) -> Estimate:
    """The estimate of dJ/dθ from an indirect part, shape (R, D), and the batch it came from."""
    design, reward = estimator.design, drawn.batch.leader_reward
    horizon = design.max_episode_steps
    steps = powers(design.discount, horizon).sum()
    return Estimate(
        direct_term(estimator, theta, drawn) - steps * design.configuration_cost_slope(theta),
        indirect,
        discounted_return(reward, horizon, design.discount),
        env_steps=reward.shape[1],
    )


def features(state: Floats) -> Floats:
    """1 and all s_i s_j, i <= j, shape (R, N, F): ∇_θ V_F is a combination of them."""
    rows, columns = np.triu_indices(state.shape[2])
    products = state[:, :, rows] * state[:, :, columns]
    return np.concatenate([np.ones((*state.shape[:2], 1)), products], axis=2)


@dataclass(frozen=True, eq=False)
class TransitionScore:
    """BC-HG, and Naive-PGD without a temperature; implements `sampled.Learner`.

    Attributes:
        design: the leader's own; all that the pathwise form needs to know of the problem.
        critic: of Q_L and V_L; V_L is enough for Naive-PGD.
        temperature: β of each run, shape (R,); None leaves the indirect part out.
        form: "score", "centred" or "pathwise", of both parts.
        noise: σ, which the score is made of; the pathwise form does without.
        max_score_norm: clip of each score in the direct part, insulation and airflow apart
            (released code); None clips nothing, which alone is unbiased.
        control: baseline of the follower's side, see `control_variate`; None has none.
        expectation: takes the place of the trace and of the control variate by what the samples of
            the sensitivity average to, see `expected_sensitivity`; None samples.
    """

    design: ThermalDesign
    critic: ThermalCritic
    temperature: Floats | None
    form: Form = "score"
    noise: float | None = None
    max_score_norm: float | None = None
    control: ControlVariate | None = None
    expectation: ThermalRegulator | None = None

    def start(self, streams: Streams) -> Memory:
        """What the control variate has seen: nothing."""
        return {} if self.control is None else self.control.start(streams)

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: RegulatorResponse,
        batch: ThermalBatch,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """Estimate both parts from a batch under θ; updates `memory` in place."""
        drawn = weigh(self, theta, response, batch, streams)
        if self.temperature is None:
            return finish(self, theta, drawn, np.zeros_like(theta))
        assert drawn.values.action_value is not None  # the critic is chosen by the cell
        horizon, discount = self.design.max_episode_steps, self.design.discount
        injection = drawn.weight * (drawn.values.action_value - drawn.values.value)
        if self.expectation is not None:
            expected = expected_sensitivity(self.expectation, theta, response, drawn.batch)
            indirect = expected_covariance_term(injection, expected, self.temperature)
            return finish(self, theta, drawn, indirect)
        own, baseline = sensitivity(self, theta, response, drawn), None
        if self.control is not None:
            self.control.refresh(memory)
            known = features(drawn.batch.state)
            baseline = self.control.mean(known, injection, memory)
            rows = own.rows()
            self.control.see(known, rows + sensitivity_to_come(rows, horizon, discount), memory)
        indirect = covariance_term(
            injection,
            own.pull_back,
            self.temperature,
            horizon,
            discount,
            include_current=True,
            baseline=baseline,
        )
        return finish(self, theta, drawn, indirect)
