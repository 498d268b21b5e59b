"""Estimators of a leader that shapes the transition against a literal reading of their definitions.

One row after the other; with `src` it shares the batch and what the critics say.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.quadratic import least_squares_td
from bilevelrl.problems.thermal_control.critic import (
    LeaderValues,
    QuadraticActionCritic,
    QuadraticStateCritic,
)
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.transition import TransitionDirect, score_push
from bilevelrl.problems.thermal_control.transition_hpgd import TransitionHPGD
from bilevelrl.problems.thermal_control.transition_score import TransitionScore

Floats = NDArray[np.float64]
HORIZON, EPISODES = 12, 3
BETA = np.array([0.1, 0.4])
THETA = np.random.default_rng(3).standard_normal((2, 8))
PROBLEM = ThermalControl.published(max_episode_steps=HORIZON)


class Heard:
    """Passes a critic's answers on, and keeps the last one with its batch."""

    def __init__(self, critic: Any) -> None:
        self.critic = critic

    def evaluate(self, *arguments: Any) -> LeaderValues:
        self.batch: ThermalBatch = arguments[2]
        values: LeaderValues = self.critic.evaluate(*arguments)
        self.values = values
        return values


def literal(
    run: int, batch: ThermalBatch, values: LeaderValues, response: RegulatorResponse,
    clip: float, kind: str, mean: Floats | None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Direct and indirect part of one run; `mean` is D̂(s) of every row."""
    p, gamma = PROBLEM, PROBLEM.discount
    levels = 1.0 / (1.0 + np.exp(-THETA[run]))
    alpha, beta = levels[:4], levels[4:]
    eta, base = p.insulation_effect, p.base_matrix
    drift = p.dynamics(THETA[run : run + 1])[0]
    s, a, after = (getattr(batch, name)[run] for name in ("state", "follower_action", "next_state"))

    def g(n: int) -> Floats:
        m = drift @ s[n] + p.input_matrix @ a[n]
        x = (after[n] - np.clip(m, -p.state_limit, p.state_limit)) / p.noise**2
        x = np.where(np.abs(m) > p.state_limit, 0.0, x)
        first = -alpha * (1 - alpha) * eta * s[n] * x
        second = []
        for i in range(4):
            j = (i + 1) % 4
            flow = base[i, j] * (s[n, j] - s[n, i]) * x[i] + base[j, i] * (s[n, i] - s[n, j]) * x[j]
            second.append(beta[i] * (1 - beta[i]) * flow)
        return np.concatenate([first, second])

    def clipped(vector: Floats) -> Floats:
        halves = [
            half * min(1.0, float(clip / np.linalg.norm(half))) for half in np.split(vector, 2)
        ]
        return np.concatenate(halves)

    def value(state: Floats) -> float:
        return -float(state @ response.quadratic[run] @ state + response.offset[run])

    cost = 2.0 * 0.1 * levels**2 * (1.0 - levels)
    reward = [
        -np.var(s[n]) - 0.5 * a[n] @ a[n] - 0.1 * (alpha @ alpha + beta @ beta)
        for n in range(len(s))
    ]
    direct, indirect = np.zeros(8), np.zeros(8)
    for e in range(EPISODES):
        h = [g(e * HORIZON + t) * value(after[e * HORIZON + t]) for t in range(HORIZON - 1)]
        h.append(np.zeros(8))
        for t in range(HORIZON):
            n = e * HORIZON + t
            direct -= gamma**t * cost / EPISODES
            if t >= 1:
                direct += gamma**t * clipped(g(n - 1)) * values.value[run, n] / EPISODES
            if kind == "naive":
                continue
            q = gamma * sum(gamma**k * h[t + k] for k in range(HORIZON - t))
            returns = sum(gamma**k * reward[n + k] for k in range(HORIZON - t))
            side = q if mean is None else q - mean[n]
            factor = returns
            if kind != "return":
                assert values.action_value is not None
                factor = values.action_value[run, n]
                factor -= values.value[run, n] if kind == "bc_hg" else 0.0
            indirect += gamma**t * side * factor / EPISODES / BETA[run]
    return direct, indirect


@pytest.mark.parametrize("kind", ["naive", "bc_hg", "return", "action_value"])
def test_published_estimates_are_those_of_a_literal_reading(kind: str) -> None:
    critic = QuadraticStateCritic(PROBLEM.design) if kind in ("naive", "return") else None
    heard = Heard(critic or QuadraticActionCritic(PROBLEM.design, expected=False, samples=256))
    clip, known = 0.7, {"noise": PROBLEM.noise, "max_score_norm": 0.7}
    learner: Any
    if kind == "naive":
        learner = TransitionDirect(PROBLEM.design, heard, **known)
    elif kind == "bc_hg":
        learner = TransitionScore(PROBLEM.design, heard, temperature=BETA, **known)
    else:
        benefit: Any = kind
        learner = TransitionHPGD(PROBLEM.design, heard, temperature=BETA, benefit=benefit, **known)
    estimator = Sampled(ThermalRollout(PROBLEM, EPISODES), learner)
    response = ThermalRegulator(PROBLEM, BETA).respond(THETA)
    streams = Streams([3, 4])
    estimate = estimator.estimate(THETA, response, estimator.start(streams), streams)
    for run in range(2):
        mean = None
        if kind in ("return", "action_value"):
            mean = followers_mean(heard.batch, response)[run]
        arguments = (run, heard.batch, heard.values, response, clip, kind, mean)
        direct, indirect = literal(*arguments)
        np.testing.assert_allclose(estimate.direct[run], direct, rtol=1e-9, atol=1e-9)
        size = np.abs(indirect).max()
        np.testing.assert_allclose(estimate.indirect[run], indirect, rtol=0, atol=1e-9 * size)
        assert (size > 1.0) == (kind != "naive")
    assert estimate.env_steps == EPISODES * HORIZON


def followers_mean(batch: ThermalBatch, response: RegulatorResponse) -> Floats:
    """D̂ of every row: the least-squares critic with γ h as its reward."""
    last = (np.arange(batch.state.shape[1]) + 1) % HORIZON == 0
    h = (
        PROBLEM.design.pushed(THETA, batch.state, score_push(PROBLEM.noise, batch))
        * response.value(batch.next_state)[:, :, None]
    )
    earned = PROBLEM.discount * np.where(last[:, None], 0.0, h)
    arguments = (batch.state, batch.next_state, earned, HORIZON, PROBLEM.discount)
    return least_squares_td(*arguments)(batch.state)


@pytest.mark.parametrize("unknown", ["noise", "innovation"])
def test_a_score_needs_the_noise_and_what_it_was(unknown: str) -> None:
    response = ThermalRegulator(PROBLEM, BETA).respond(THETA)
    batch = ThermalRollout(PROBLEM, EPISODES).sample(THETA, response, Streams([1, 2]))
    noise: float | None = PROBLEM.noise
    assert score_push(noise, batch).any()
    if unknown == "noise":
        noise = None
    else:
        batch = replace(batch, innovation=None)
    with pytest.raises(ValueError, match="needs the building's noise"):
        score_push(noise, batch)
