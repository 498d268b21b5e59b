"""The direct part of thermal control's estimators, and gradients through p(s' | s, a; θ).

θ enters through p(s' | s, a; θ) and a cost of its own (arXiv 2603.14867), hence

    direct   = E[Σ_t γ^t ∇r_L + Σ_t γ^{t+1} V_L(s_{t+1}) ∇ log p(s_{t+1} | s_t, a_t)],
    indirect = (1/β) E[Σ_k e_k ψ_k - b],   e_k = γ e_{k-1} + i_k,
    ψ_k      = γ V_F(s_{k+1}) ∇ log p(s_{k+1} | s_k, a_k).

Estimators differ in the injection i and the baseline b.

The score's variance grows as 1 / σ². Its mean is zero, so that f(s') - f(E[s' | s, a]) may take the
place of f(s') ("centred"). The leader knows its own building, s' = A(θ) s + B a + σ z, so that
∇f(s')ᵀ (∂A/∂θ) s may take the place of f(s') ∇ log p ("pathwise"; Kingma and Welling 2014).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.covariance import covariance_term, weighted_sum
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import powers
from bilevelrl.problems.thermal_control.critic import LeaderValues, ThermalCritic
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.rollout import ThermalBatch

Form = Literal["score", "centred", "pathwise"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch under θ, shape (R, D), and what leader and follower make of it.

    Attributes:
        theta, response, batch: whole episodes under both.
        values: what the critic says of the batch's rows.
        weight: γ^t over the number of episodes, shape (N,).
        onwards: γ where the episode has a next step, else 0, shape (N,).
    """

    theta: Floats
    response: RegulatorResponse
    batch: ThermalBatch
    values: LeaderValues
    weight: Floats
    onwards: Floats


@dataclass(frozen=True, eq=False)
class Slopes:
    """v = c xᵀ (∂A/∂θ) s of every transition, of which only scalars and pushes are kept.

    Attributes:
        design, drawn: have ∂A/∂θ and s.
        push: x, shape (R, N, n).
        scale: c, shape (R, N).
    """

    design: ThermalDesign
    drawn: Drawn
    push: Floats
    scale: Floats

    def pull_back(self, weights: Floats) -> Floats:
        """Σ_k w_k v_k, shape (R, D), for weights (R, N)."""
        theta, state = self.drawn.theta, self.drawn.batch.state
        return self.design.pull_back(theta, state, self.push, weights * self.scale)

    def rows(self) -> Floats:
        """Every v, shape (R, N, D): for control variates and clips, which need single ones."""
        pushed = self.design.pushed(self.drawn.theta, self.drawn.batch.state, self.push)
        return self.scale[:, :, None] * pushed

    def covariance(self, injection: Floats, temperature: Floats, baseline: Floats | None) -> Floats:
        """See `core.covariance.covariance_term`, with v as the sensitivity, shape (R, D)."""
        return covariance_term(
            injection, self.pull_back, temperature, self.design.max_episode_steps,
            self.design.discount, include_current=True, baseline=baseline,
        )  # fmt: skip


def score_push(noise: float | None, batch: ThermalBatch) -> Floats:
    """The push x of ∇_θ log p(s' | s, a; θ), 0 for a component whose mean was clipped, (R, N, n).

    Raises:
        ValueError: if `noise`, σ, or the batch's innovation is not known.
    """
    if noise is None or batch.innovation is None:
        raise ValueError("the score needs the building's noise; form = 'pathwise' does without")
    push: Floats = batch.innovation / noise**2
    return push


@dataclass(frozen=True, eq=False)
class TransitionDirect:
    """Naive-PGD, and what the others add an indirect part to; implements `sampled.Learner`.

    Attributes:
        design: the leader's own; all that the pathwise form needs to know of the problem.
        critic: of V_L, and of Q_L where the indirect part needs it.
        form: "score", "centred" or "pathwise", of both parts.
        noise: σ, which the score is made of; the pathwise form does without.
        max_score_norm: clip of each score in the direct part, insulation and airflow apart
            (released code); None clips nothing, which alone is unbiased.
    """

    design: ThermalDesign
    critic: ThermalCritic
    form: Form = "score"
    noise: float | None = None
    max_score_norm: float | None = None

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

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
        design, reward = self.design, batch.leader_reward
        horizon, discount = design.max_episode_steps, design.discount
        values = self.critic.evaluate(theta, response, batch, streams)
        episodes, discounts = reward.shape[1] // horizon, powers(discount, horizon)
        weight = np.tile(discounts / episodes, episodes)
        onwards = np.tile(discount * (np.arange(horizon) < horizon - 1), episodes)
        drawn = Drawn(theta, response, batch, values, weight, onwards)
        indirect = self.indirect(drawn, memory, streams)
        direct = self._direct(drawn) - discounts.sum() * design.configuration_cost_slope(theta)
        sampled = discounted_return(reward, horizon, discount)
        return Estimate(direct, indirect, sampled, env_steps=reward.shape[1])

    def indirect(self, drawn: Drawn, memory: Memory, streams: Streams) -> Floats:
        """The part through the follower's answer, shape (R, D); none here."""
        del memory, streams
        return np.zeros_like(drawn.theta)

    def sensitivity(self, drawn: Drawn) -> Slopes:
        """ψ of every row, 0 in the last of an episode."""
        after, response = drawn.batch.next_state, drawn.response
        return self._moved(
            drawn, lambda: response.value(after), lambda: response.value_slope(after)
        )

    def _direct(self, drawn: Drawn) -> Floats:
        """The part through the transition, the follower's policy held fixed, shape (R, D)."""
        values = drawn.values

        def slope() -> Floats:
            assert values.slope is not None  # the critic is chosen by the cell
            return np.roll(values.slope, -1, axis=1)

        following = np.roll(values.value, -1, axis=1)
        own = self._moved(drawn, lambda: following, slope)
        weight = np.broadcast_to(drawn.weight, following.shape)
        if self.form != "score" or self.max_score_norm is None:
            return own.pull_back(weight)
        scores = replace(own, scale=np.ones_like(following)).rows()
        _clip_halves(scores, self.max_score_norm)
        return weighted_sum(weight * own.scale, scores)

    def _moved(
        self, drawn: Drawn, value: Callable[[], Floats], slope: Callable[[], Floats]
    ) -> Slopes:
        """γ ∇_θ E[f(s') | s, a] from one sample, from f(s') (R, N) or from ∂f/∂s' (R, N, n)."""
        innovation = drawn.batch.innovation
        if self.form == "pathwise":
            push, rise = slope(), np.ones(drawn.batch.leader_reward.shape)
            if innovation is not None:
                push = np.where(innovation == 0.0, 0.0, push)  # a clipped mean does not move
        else:
            push = score_push(self.noise, drawn.batch)
            assert innovation is not None  # the score was made of it
            # Centred, f(s') - f(E s') is known up to a term of second order, whose covariance with
            # the score is zero.
            rise = value() if self.form == "score" else (slope() * innovation).sum(axis=2)
        return Slopes(self.design, drawn, push, drawn.onwards * rise)


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
