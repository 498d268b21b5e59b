"""What every sampled estimator in thermal control shares: gradients through p(s' | s, a; θ).

The score's variance grows as 1 / σ². Its mean is zero, so that f(s') - f(E[s' | s, a]) may take the
place of f(s') ("centred"). The leader knows its own building, s' = A(θ) s + B a + σ z, so that
∇f(s')ᵀ (∂A/∂θ) s may take the place of f(s') ∇ log p ("pathwise"; Kingma and Welling 2014).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.covariance import weighted_sum
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import powers
from bilevelrl.problems.thermal_control.critic import LeaderValues, ThermalCritic
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
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
