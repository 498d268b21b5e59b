"""BC-HG and Naive-PGD in BilevelLQR against a literal, slow reading of the algorithm.

With `src` the reference shares the batch, the learned critic and the follower's answer.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic, NetworkLinearLeader
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.games import literal_draws

Floats = NDArray[np.float64]
SEEDS = [3, 4]
BETA = np.array([0.05, 0.2])
HORIZON, EPISODES, MINIBATCH = 20, 3, 64
FIELDS = ("state", "leader_action", "follower_action")
NOISE = 0.2
LQR = BilevelLQR.published(max_episode_steps=HORIZON, leader_noise=NOISE)


def make_linear(samples: int) -> Sampled[Observations]:
    critic = LinearNetworkCritic(LQR, 5, np.array([0.1, 0.01]), 0.01, MINIBATCH)
    leader = NetworkLinearLeader(LQR, critic, samples, samples, 0.01)
    learner = ScoreFunction(leader, HORIZON, 0.99, 0.95, BETA, None, MINIBATCH, influence_now=True)
    return Sampled(LinearRollout(LQR, EPISODES), learner)


def dense(number: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    return nodes, weights / weights.sum()


def literal_lqr(
    run: int, batch: Observations, critic: Any, answered: Floats, at: Floats, response: Any,
    draws: list[tuple[int, int]], nodes: tuple[int, int],
) -> tuple[Floats, Floats]:  # fmt: skip
    """The released estimate with expectations over `nodes` points; critic(x, u, a)."""

    def log_f_gradient(x: Floats, a: float) -> Floats:
        gradient: Floats = (a - at[run] @ x) * x / NOISE**2
        return gradient

    def v_f(x: Floats, a: float) -> float:
        push = LQR.leader_matrix[:, 0] * (a - answered[run] @ x)
        cost = x @ response.quadratic[run] @ x + 2 * x @ response.cross[run] @ push
        return -float(cost + push @ response.noise[run] @ push + response.offset[run])

    direct, indirect = np.zeros(2), np.zeros(2)
    for episode, step in draws:
        n = episode * HORIZON + step
        x, a, u = (getattr(batch, name)[run, n] for name in FIELDS)
        z, w = dense(nodes[0])
        base = sum(wi * critic(x, u, at[run] @ x + NOISE * zi) for zi, wi in zip(z, w, strict=True))
        direct += (critic(x, u, a) - base) * log_f_gradient(x, a[0]) / len(draws)
        push = LQR.leader_matrix[:, 0] * (a[0] - answered[run] @ x)
        mean = -(response.state_gain[run] @ x + response.noise_gain[run] @ push)[0]
        sd = np.sqrt(response.covariance[run, 0, 0])
        z, w = dense(nodes[1])
        base = sum(wi * critic(x, mean + sd * zi, a) for zi, wi in zip(z, w, strict=True))
        influence = np.zeros(2)
        for k in range(HORIZON - step):
            y, c = batch.state[run, n + k], batch.leader_action[run, n + k, 0]
            influence += 0.95**k * v_f(y, c) * log_f_gradient(y, c)
        indirect += (critic(x, u, a) - base) * influence / BETA[run] / len(draws)
    return direct, indirect


def test_published_lqr_estimates_are_those_of_a_literal_reading() -> None:
    # So many draws behind the means over actions that these have no noise.
    estimator, streams, draws = make_linear(10**24), Streams(SEEDS), Streams(SEEDS)
    theta = np.random.default_rng(2).standard_normal((2, 2))
    response = MaxEntropyLQR(LQR, BETA).respond(theta)
    memory = estimator.start(streams)
    learner: Any = estimator.learner
    critic = learner.leader.critic
    rollout = Streams(SEEDS)
    for update in range(2):
        estimate = estimator.estimate(theta, response, memory, streams)
        batch = estimator.sampler.observe(theta, response, rollout, at_random=False)
        moved = theta + 0.1 * np.random.default_rng(update).standard_normal(theta.shape)
        assert estimate.again is not None
        again = estimate.again(moved)
        for place in (theta, moved):
            uniforms = draws.uniforms("actor", (MINIBATCH, 2)).copy()
            draws.normals("actor", (2, MINIBATCH))  # of the two means; they have no weight here
            for run in range(2):

                def q(x: Floats, u: Any, a: Any, run: int = run) -> float:
                    rows = [np.reshape(part, (1, 1, -1)) for part in (x, u, a)]
                    return float(critic.values(memory["critic"][run : run + 1], *rows)[0, 0])

                pairs = literal_draws(uniforms[run], EPISODES, HORIZON)
                arguments = (run, batch, q, theta, place, response, pairs)
                parts = list(literal_lqr(*arguments, (3, 15)))
                size = max(np.abs(part).max() for part in parts)
                found = [estimate.direct[run], estimate.indirect[run]]
                if place is moved:
                    found, parts = [again[run]], [parts[0] + parts[1]]
                for mine, theirs in zip(found, parts, strict=True):
                    np.testing.assert_allclose(mine, theirs, rtol=0.0, atol=1e-9 * size)


def test_the_means_over_lqr_actions_are_as_noisy_as_means_of_draws() -> None:
    # Quadrature stands for means of n draws. Its own error, in units of their standard deviation,
    # is rarely large, and the noise on top has their variance; both for critics that have learned.
    problem = BilevelLQR.published()
    critic = LinearNetworkCritic(problem, 5, np.full(4, 0.1), 0.01, MINIBATCH)
    rollout = LinearRollout(problem, 4)
    leader = NetworkLinearLeader(problem, critic, 32, 256, 0.01)
    streams = Streams(range(4))
    theta = np.random.default_rng(0).standard_normal((4, 2))
    response = MaxEntropyLQR(problem, np.full(4, 0.1)).respond(theta)
    memory = leader.start(streams)
    for _ in range(5):
        batch = rollout.observe(theta, response, streams, at_random=True)
        leader.learn(theta, response, batch, batch, memory, streams)
    number = 2001
    nodes = np.linspace(-6.0, 6.0, number)
    weights = stats.norm.pdf(nodes) / stats.norm.pdf(nodes).sum()
    errors: list[float] = []
    spreads: list[float] = []
    for n in range(0, 400, 27):
        drawn = batch.take(np.full((4, number), n))
        x, a, u = (getattr(drawn, name) for name in FIELDS)
        mean = response.mean_action(problem, theta, x, a)
        steps = np.sqrt(response.covariance[:, 0, 0])[:, None] * nodes
        values = critic.values(memory["critic"], x, mean + steps[:, :, None], a)
        exact = (weights * values).sum(axis=1, keepdims=True)
        noise = np.sqrt((weights * np.square(values - exact)).sum(axis=1) / 256)
        found = leader.follower_side_advantage(theta, response, drawn, x[..., 0], memory, streams)
        error = found - critic.values(memory["critic"], x, u, a) + exact
        alive = noise > 1e-9  # with this step size all of a critic's rectifiers may be off
        errors += list(np.abs(error.mean(axis=1))[alive] / noise[alive])
        spreads += list(error.std(axis=1)[alive] / noise[alive])
    assert len(errors) > 20
    assert np.median(spreads) == pytest.approx(1.0, abs=0.05)
    assert np.median(errors) < 0.25
    assert np.quantile(errors, 0.9) < 1.0
