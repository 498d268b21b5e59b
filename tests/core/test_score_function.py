"""BC-HG, Naive-PGD and Bi-AC against a literal, slow reading of the algorithm.

The reference loops over drawn transitions and their subsequences and leaves the derivative to
PyTorch. With `src` it shares the batch, the learned critic and the follower's answer.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.observations import Observations
from bilevelrl.core.replay import Replay
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction, discounted_draws
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import ExactGameCritic, NetworkCritic
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.policies import NetworkPolicy, TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import literal_draws, random_game

Floats = NDArray[np.float64]
SEEDS = [3, 4]
BETA = np.array([0.05, 0.2])
HORIZON, EPISODES, MINIBATCH = 20, 3, 64
GAME = discrete_toy(1.0, max_episode_steps=HORIZON)
POLICY = NetworkPolicy(3, 2)
FIELDS = ("state", "leader_action", "follower_action", "next_state", "leader_reward")


def rollout_batches(
    estimator: Sampled[Observations], theta: Floats, response: Any, n: int
) -> list[Observations]:
    """The batches that an estimator with streams of its own for the same seeds draws."""
    streams, sampler = Streams(SEEDS), estimator.sampler
    return [sampler.observe(theta, response, streams, at_random=False) for _ in range(n)]


@dataclass(frozen=True, eq=False)
class Literal:
    """One run."""

    run: int
    batches: list[Observations]
    q: Floats  # (S, A, B)
    response: BestResponse

    def at(self, episode: int, step: int) -> tuple[int, int, int]:
        batch, n = self.batches[episode // EPISODES], episode % EPISODES * HORIZON + step
        fields = (batch.state, batch.leader_action, batch.follower_action)
        s, a, b = (int(field[self.run, n]) for field in fields)
        return s, a, b

    def losses(self, theta: Floats, draws: list[tuple[int, int]]) -> tuple[Floats, Floats]:
        """-∇L₁ and -∇L₂ with an exact mean over the follower's actions."""
        parameters = torch.tensor(theta[self.run], requires_grad=True)
        shapes = [(3, 64), (64,), (64, 64), (64,), (64, 2), (2,)]
        parts = torch.split(parameters, [int(np.prod(shape)) for shape in shapes])
        w1, b1, w2, b2, w3, b3 = (p.reshape(*s) for p, s in zip(parts, shapes, strict=True))
        hidden = torch.relu(torch.eye(3, dtype=torch.float64) @ w1 + b1)
        log_f = torch.log_softmax(torch.relu(hidden @ w2 + b2) @ w3 + b3, dim=1)
        f = log_f.detach().exp().numpy()
        v = self.response.value[self.run]
        pi = self.response.policy[self.run]
        loss_1 = loss_2 = torch.zeros((), dtype=torch.float64)
        for episode, step in draws:
            s, a, b = self.at(episode, step)
            advantage = self.q[s, a, b] - sum(f[s, c] * self.q[s, c, b] for c in range(2))
            loss_1 = loss_1 - log_f[s, a] * advantage / len(draws)
            benefit = self.q[s, a, b] - sum(pi[s, a, c] * self.q[s, a, c] for c in range(3))
            influence = torch.zeros((), dtype=torch.float64)
            for k in range(HORIZON - step):  # k = 0 is included, the end of the episode too
                s, a, _ = self.at(episode, step + k)
                centred = v[s, a] - sum(f[s, c] * v[s, c] for c in range(2))
                influence = influence + GAME.follower_discount**k * log_f[s, a] * centred
            loss_2 = loss_2 - benefit * influence / BETA[self.run] / len(draws)
        (direct,) = torch.autograd.grad(-loss_1, parameters, retain_graph=True)
        (indirect,) = torch.autograd.grad(-loss_2, parameters)
        return direct.numpy(), indirect.numpy()


def make_published(
    indirect: bool = True, capacity: int | None = None, samples: int | None = None, **critic: Any
) -> Sampled[Observations]:
    network = NetworkCritic(GAME, 3, np.array([1e-3, 1e-2]), 0.01, MINIBATCH, **critic)
    leader = FiniteLeader(POLICY, GAME.sizes, network, "sampled_follower_action", samples, 0.01)
    replay = None if capacity is None else Replay(HORIZON, capacity)
    learner = ScoreFunction(
        leader, HORIZON, 0.99, 0.99, BETA if indirect else None, replay, MINIBATCH,
        influence_now=True,
    )  # fmt: skip
    return Sampled(FiniteSampler(POLICY, GameRollout(GAME, EPISODES), "full"), learner)


def score_function(estimator: Sampled[Observations]) -> ScoreFunction:
    assert isinstance(estimator.learner, ScoreFunction)
    return estimator.learner


def leader_of(estimator: Sampled[Observations]) -> Any:
    return score_function(estimator).leader


def solve(order: Any = "published", seed: int = 8) -> tuple[Floats, BestResponse]:
    theta = POLICY.initial_parameters(Streams(SEEDS))
    theta = theta + 0.05 * np.random.default_rng(seed).standard_normal(theta.shape)  # biases too
    follower = SoftQIteration(GAME, BETA, 1e-10, 100, order)
    return theta, follower.respond(POLICY.probabilities(theta), follower.start(2))


@pytest.mark.parametrize("bootstrap", ["modes", "stackelberg"])
@pytest.mark.parametrize("indirect", [True, False])
@pytest.mark.parametrize("capacity", [None, 6])
def test_published_estimates_are_those_of_a_literal_reading(
    bootstrap: str, indirect: bool, capacity: int | None
) -> None:
    estimator = make_published(indirect, capacity, bootstrap=bootstrap)
    (theta, response), streams = solve(), Streams(SEEDS)
    memory = estimator.start(streams)
    draws = Streams(SEEDS)
    batches = rollout_batches(estimator, theta, response, 3)
    for update in range(3):
        estimate = estimator.estimate(theta, response, memory, streams)
        # Six episodes are kept: the third batch has replaced the first.
        kept = {None: [batches[update]], 6: [batches[2], batches[1]] if update == 2 else batches}
        stored = kept[capacity][: update + 1]
        episodes = EPISODES * len(stored)
        values = leader_of(estimator).critic.action_values(memory)[:, 0]
        moved = theta + 0.1 * np.random.default_rng(update).standard_normal(theta.shape)
        assert estimate.again is not None
        again = estimate.again(moved)
        for place, found in ((theta, (estimate.direct, estimate.indirect)), (moved, again)):
            uniforms = draws.uniforms("actor", (MINIBATCH, 2)).copy()
            for run in range(2):
                literal = Literal(run, stored, values[run], response)
                parts = literal.losses(place, literal_draws(uniforms[run], episodes, HORIZON))
                if not indirect:
                    parts = parts[0], np.zeros_like(parts[1])
                if place is theta:
                    np.testing.assert_allclose(found[0][run], parts[0], rtol=0, atol=1e-10)
                    np.testing.assert_allclose(found[1][run], parts[1], rtol=0, atol=1e-10)
                else:
                    np.testing.assert_allclose(found[run], sum(parts), rtol=0, atol=1e-10)
                assert np.abs(parts[0]).max() > 1e-5


def test_the_noise_of_sampled_follower_actions_has_the_right_moments() -> None:
    # One transition, taken many times: A_L - E[A_L] ~ (0, Var_b[Q] / n), independent every time.
    estimator, number = make_published(samples=16), 40_000
    (theta, response), streams = solve(), Streams(SEEDS)
    memory = estimator.start(streams)
    batch = estimator.sampler.observe(theta, response, streams, at_random=False)
    policy = np.random.default_rng(1).dirichlet(np.ones(3), (2, 3, 2))
    response = replace(response, policy=policy)
    values = leader_of(estimator).critic.action_values(memory)[:, 0]
    index = np.full((2, number), 1)
    drawn, time = batch.take(index), index % HORIZON
    exact = replace(leader_of(estimator), follower_samples=None)
    arguments = (theta, response, drawn, time, memory, streams)
    noisy, mean = (
        each.follower_side_advantage(*arguments) for each in (leader_of(estimator), exact)
    )
    again = leader_of(estimator).follower_side_advantage(*arguments)
    assert (again != noisy).all()
    for run in range(2):
        s, a, b = (int(getattr(batch, name)[run, 1]) for name in FIELDS[:3])
        q, pi = values[run, s, a], policy[run, s, a]
        np.testing.assert_allclose(mean[run], q[b] - pi @ q, rtol=1e-12)
        error = noisy[run] - mean[run]
        variance = (pi @ q**2 - (pi @ q) ** 2) / 16
        assert abs(error.mean()) < 4.0 * np.sqrt(variance / number)
        assert error.var() == pytest.approx(variance, rel=4.0 * np.sqrt(2.0 / number))
        assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 4.0 / np.sqrt(number)


def test_corrected_estimates_are_double_sums_over_whole_episodes() -> None:
    # The double sum of BC-HG on a game without structure, with a critic that knows the time.
    game, policy = random_game(), TabularPolicy(4, 3)
    horizon = game.max_episode_steps
    theta = np.random.default_rng(0).standard_normal((2, 12))
    follower = SoftQIteration(game, BETA, 1e-10, 100)
    f = policy.probabilities(theta)
    response = follower.respond(f, follower.start(2))
    leader = FiniteLeader(policy, game.sizes, ExactGameCritic(game))
    learner = ScoreFunction(leader, horizon, 0.95, 0.9, BETA)
    assert learner.scale == 1.0
    sampler = FiniteSampler(policy, GameRollout(game, EPISODES), "full")
    estimator = Sampled(sampler, learner)
    streams = Streams(SEEDS)
    memory = estimator.start(streams)
    estimate = estimator.estimate(theta, response, memory, streams)
    batch = sampler.observe(theta, response, Streams(SEEDS), at_random=False)
    q, v, pi = memory["values"], response.value, response.policy
    for r in range(2):
        score = [np.eye(12)[n] - f[r, n // 3] @ np.eye(12)[n // 3 * 3 :][:3] for n in range(12)]
        direct, indirect = np.zeros(12), np.zeros(12)
        for e in range(EPISODES):
            rows = [
                tuple(int(getattr(batch, name)[r, e * horizon + t]) for name in FIELDS[:3])
                for t in range(horizon)
            ]
            for t, (s, a, b) in enumerate(rows):
                mean_b = (pi[r, s] * q[r, t, s]).sum(axis=1)
                direct += 0.95**t * (mean_b[a] - f[r, s] @ mean_b) * score[3 * s + a]
                benefit = q[r, t, s, a, b] - mean_b[a]
                for k in range(t + 1, horizon):
                    y, c, _ = rows[k]
                    influence = (v[r, y, c] - f[r, y] @ v[r, y]) * score[3 * y + c]
                    indirect += 0.95**t * benefit * 0.9 ** (k - t) * influence / BETA[r]
        np.testing.assert_allclose(estimate.direct[r], direct / EPISODES, atol=1e-10)
        np.testing.assert_allclose(estimate.indirect[r], indirect / EPISODES, atol=1e-10)
        assert np.abs(indirect).max() > 0.1


def test_draws_are_likely_in_proportion_to_the_discount() -> None:
    number, episodes, gamma = 60_000, 4, 0.8
    index = discounted_draws(episodes * HORIZON, HORIZON, number, gamma, Streams(SEEDS))
    assert index.shape == (2, number)
    expected = np.tile(gamma ** np.arange(HORIZON), episodes)
    expected *= number / expected.sum()
    for run in range(2):
        counts = np.bincount(index[run], minlength=episodes * HORIZON)
        assert len(counts) == episodes * HORIZON
        z = (counts - expected) / np.sqrt(expected)
        assert np.square(z).sum() < 79 + 4.0 * np.sqrt(2 * 79)
    assert score_function(make_published()).scale == pytest.approx(
        sum(0.99**t for t in range(HORIZON))
    )


def test_what_is_stored_is_the_newest_and_batches_must_fit() -> None:
    theta, response = solve()
    batches = rollout_batches(make_published(), theta, response, 5)
    memory: dict[str, Any] = {}
    replay = Replay(HORIZON, 9)
    for update, batch in enumerate(batches):
        stored = replay.add(batch, memory)
        places = {0: [0], 1: [0, 1], 2: [0, 1, 2], 3: [3, 1, 2], 4: [3, 4, 2]}[update]
        for name in FIELDS:
            expected = np.concatenate([getattr(batches[i], name) for i in places], axis=1)
            np.testing.assert_array_equal(getattr(stored, name), expected)
    with pytest.raises(ValueError, match="no multiple"):
        Replay(HORIZON, 7).add(batches[0], {})


def test_the_first_updates_act_at_random() -> None:
    made = make_published()
    estimator = replace(made, learner=replace(score_function(made), random_updates=2))
    rollout = GameRollout(GAME, EPISODES)
    theta, response = solve()
    theta[:, -2:] = -40.0, 40.0  # a leader that would always play 1
    memory, streams, again = estimator.start(Streams(SEEDS)), Streams(SEEDS), Streams(SEEDS)
    uniform = np.full((2, 3, 2), 0.5)
    for update in range(3):
        estimate = estimator.estimate(theta, response, memory, streams)
        leader = uniform if update < 2 else POLICY.probabilities(theta)
        batch = rollout.sample(leader, response.policy, again)
        rewards = batch.leader_reward.reshape(2, EPISODES, HORIZON).sum(axis=2).mean(axis=1)
        np.testing.assert_allclose(estimate.leader_return_sampled, rewards)
        assert (batch.leader_action == 1).all() == (update == 2)
        assert estimate.env_steps == EPISODES * HORIZON
