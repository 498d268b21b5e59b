"""Many estimates at one θ of a finite game, and what can be said of their mean, for tests."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring, ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import ExactGameCritic
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import Baseline, FiniteLeader
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_game

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """One θ (1, D) with the follower's answer to it and the exact hypergradient."""

    game: MarkovGame
    theta: Floats
    temperature: float
    response: BestResponse
    direct: Floats
    indirect: Floats

    @property
    def exact(self) -> Floats:
        return self.direct + self.indirect

    @property
    def policy(self) -> TabularPolicy:
        return TabularPolicy(self.game.num_states, self.game.num_leader_actions)


def make_point(game: MarkovGame, theta: Floats, temperature: float) -> Point:
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    f, beta = policy.probabilities(theta), np.array([temperature])
    follower = SoftQIteration(game, beta, 1e-11, 200)
    response = follower.respond(f, follower.start(1))
    direct, indirect, _ = game_hypergradient(
        game, f, response, beta, discount=game.leader_discount, horizon=game.max_episode_steps,
        order="correct", influence="episode",
    )  # fmt: skip
    parts = [policy.pull_back(theta, part * f)[0] for part in (direct, indirect)]
    return Point(game, theta, temperature, response, *parts)


def generic(seed: int = 0, temperature: float = 0.5) -> Point:
    theta = 0.7 * np.random.default_rng(seed).standard_normal((1, 12))
    return make_point(random_game(seed), theta, temperature)


def toy(revisit_reward: float, q: float, horizon: int = 150) -> Point:
    theta = np.array([[0.3, 0.0, 0.0, np.log(q / (1.0 - q)), 0.0, 0.2]])
    return make_point(discrete_toy(revisit_reward, max_episode_steps=horizon), theta, 0.05)


class Kind(NamedTuple):
    """Attributes:
    control: with the baseline of the follower's side, learned from one earlier batch.
    baseline: of the direct part.
    influence_now: whether the sensitivity starts at the same step.
    minibatch: draws per estimate, or None.
    indirect: False is Naive-PGD.
    """

    control: bool = False
    baseline: Baseline = "state"
    influence_now: bool = False
    minibatch: int | None = None
    indirect: bool = True


def replicate(point: Point, kind: Kind, *, runs: int, episodes: int) -> Estimate:
    """Independent estimates at one θ, each from its own seed, in units of dJ/dθ."""
    game, horizon = point.game, point.game.max_episode_steps
    pairs = game.num_states * game.num_leader_actions
    leader = FiniteLeader(point.policy, game.sizes, ExactGameCritic(game), kind.baseline)
    sampler = FiniteSampler(point.policy, GameRollout(game, episodes), "full")
    parts = []
    chunk = 500
    for first in range(0, runs, chunk):
        learner = ScoreFunction(
            leader, horizon, game.leader_discount, game.follower_discount,
            np.full(chunk, point.temperature) if kind.indirect else None,
            minibatch=kind.minibatch, influence_now=kind.influence_now,
            control=Centring(ControlVariate(pairs, pairs), leader) if kind.control else None,
        )  # fmt: skip
        estimator = Sampled(sampler, learner)
        response = replace(
            point.response,
            policy=np.repeat(point.response.policy, chunk, axis=0),
            value=np.repeat(point.response.value, chunk, axis=0),
        )
        theta, streams = np.repeat(point.theta, chunk, axis=0), Streams(range(first, first + chunk))
        memory = estimator.start(streams)
        estimate = estimator.estimate(theta, response, memory, streams)
        if kind.control:  # the first batch only teaches the baseline
            estimate = estimator.estimate(theta, response, memory, streams)
        parts.append(estimate)
    scale = learner.scale
    return Estimate(
        scale * np.concatenate([part.direct for part in parts]),
        scale * np.concatenate([part.indirect for part in parts]),
        np.concatenate([part.leader_return_sampled for part in parts]),
    )


class Verdict(NamedTuple):
    """Attributes:
    p_value: of the mean being the exact hypergradient.
    bias: |mean - exact|.
    blind_spot: six standard errors in the noisiest direction.
    """

    p_value: float
    bias: float
    blind_spot: float


def judge(samples: Floats, exact: Floats) -> Verdict:
    """Hotelling's T² in all directions but the logits' gauge, which no sample leaves."""
    directions = linalg.block_diag(*[linalg.helmert(3)] * 4)
    np.testing.assert_allclose(samples.reshape(-1, 4, 3).sum(axis=2), 0.0, atol=1e-9)
    error = (samples - exact) @ directions.T
    (n, d), mean = error.shape, error.mean(axis=0)
    covariance = np.cov(error.T)
    t2 = n * mean @ np.linalg.solve(covariance, mean)
    p_value = stats.f.sf(t2 * (n - d) / (d * (n - 1)), d, n - d)
    noisiest = np.linalg.eigvalsh(covariance)[-1]
    bias = float(np.linalg.norm(mean))
    return Verdict(float(p_value), bias, float(6.0 * np.sqrt(noisiest / n)))
