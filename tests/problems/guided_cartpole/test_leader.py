"""The leader of the guided cart-pole: what it learns by watching, and what it makes of that."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.random_features import RandomFeatures, solved_once, temporal_difference
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.belief import CartPoleBelief, WatchedFollower, value_rows
from bilevelrl.problems.guided_cartpole.critic import ArrivalCritic
from bilevelrl.problems.guided_cartpole.leader import CartPoleLeader, Idle
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import scaled

Floats = NDArray[np.float64]
HORIZON = 12
PROBLEM = GuidedCartPole(
    angle_limit=0.08, goal=(-0.01, 0.05), max_episode_steps=HORIZON, leader_discount=0.9,
    follower_discount=0.95,
)  # fmt: skip
#: With states far enough apart for smooth features.
WIDE = replace(PROBLEM, angle_limit=0.6, initial_spread=0.5, goal=(-0.1, 0.3))
WINDS = np.array([-0.5, 0.0, 0.5])
POLICY = ModulePolicy(4, 3, (5,))
TEMPERATURE = 0.3
RIDGE = 1e-6
DEVIATION = 0.4


class Pusher:
    """atanh u is normal, with a mean that is linear in what it sees."""

    def act(self, observation: Floats, normals: Floats) -> tuple[Floats, Floats]:
        mean = observation @ np.array([0.1, 0.3, 0.8, 0.7, 0.4])
        return np.tanh(mean[:, None] + DEVIATION * normals), np.zeros(len(observation))


def generic(num_runs: int) -> Floats:
    shape = (num_runs, POLICY.num_parameters)
    return 0.5 * np.random.default_rng(4).standard_normal(shape)


def batch_of(
    theta: Floats, seeds: list[int], episodes: int, problem: GuidedCartPole = PROBLEM
) -> CartPoleBatch:
    streams = Streams(seeds)
    uniforms = streams.uniforms("rollout", (episodes, 4 + HORIZON))
    normals = streams.normals("rollout", (episodes, HORIZON))
    agents = [Pusher()] * len(seeds)
    return CartPoleRollout(problem, POLICY, WINDS).play(theta, agents, uniforms, normals)


def belief(num_runs: int, features: int = 20) -> CartPoleBelief:
    watched = RandomFeatures((0.5,) * 5, features)
    temperature = np.full(num_runs, TEMPERATURE)
    return CartPoleBelief(
        WINDS,
        temperature,
        PROBLEM.follower_discount,
        watched,
        forgetting_factor=0.5,
        ridge=RIDGE,
        policy_ridge=RIDGE,
    )


def leader(expected: bool = False) -> CartPoleLeader:
    arrival = RandomFeatures((1.0,) * 5, 20)
    critic = ArrivalCritic(arrival, HORIZON, PROBLEM.leader_discount, 0.5, RIDGE)
    return CartPoleLeader(POLICY, critic, expected) if expected else CartPoleLeader(POLICY, critic)


def learner(made: CartPoleLeader, num_runs: int = 1) -> ScoreFunction:
    return ScoreFunction(
        made, HORIZON, PROBLEM.leader_discount, PROBLEM.follower_discount,
        np.full(num_runs, TEMPERATURE), expectation=made if made.expected else None,
    )  # fmt: skip


def watched(theta: Floats, batch: CartPoleBatch, seeds: list[int]) -> tuple[WatchedFollower, Any]:
    believed, streams = belief(len(seeds)), Streams(seeds)
    memory = believed.start(streams) | leader().start(streams)
    return believed.learn(theta, batch, memory), memory


def test_watching_finds_the_physics_and_the_follower() -> None:
    theta = generic(1)
    response, _ = watched(theta, batch_of(theta, [0], 600), [0])
    fresh = batch_of(theta, [1], 5)
    alive = fresh.alive[0]
    state, wind = fresh.state[0][alive], WINDS[fresh.leader_action[0][alive]]
    push = fresh.follower_action[0][alive][:, 0]
    error = response.arrival(0, state, wind, push) - fresh.next_state[0][alive]
    assert np.abs(error).max() < 2e-3
    mean, deviation = response.gaussian(0, state, wind)
    true_mean = np.concatenate([scaled(state), wind[:, None]], axis=1) @ [0.1, 0.3, 0.8, 0.7, 0.4]
    assert np.abs(mean - true_mean).mean() < 0.04
    np.testing.assert_allclose(np.median(deviation), DEVIATION, rtol=0.1)
    # H of tanh z, from draws.
    raw = mean[:, None] + deviation[:, None] * np.random.default_rng(0).standard_normal((1, 40_000))
    density = -0.5 * np.square((raw - mean[:, None]) / deviation[:, None])
    density -= np.log(deviation[:, None] * np.sqrt(2.0 * np.pi)) + np.log(1.0 - np.tanh(raw) ** 2)
    found = response.answers(0, state, wind[:, None])
    np.testing.assert_allclose(found.entropy[:, 0], -density.mean(axis=1), atol=0.03)
    assert found.weight.sum() == pytest.approx(1.0)


def test_temporal_differences_recover_a_value_that_is_linear() -> None:
    # A ring of five states with one leak: v = (I - γ P)⁻¹ r.
    rng, chance = np.random.default_rng(0), 0.2
    state = rng.integers(5, size=40_000)
    ended = rng.random(len(state)) < chance * (state == 4)
    here, following = np.eye(5)[state], np.eye(6)[:, :5][np.where(ended, 5, (state + 1) % 5)]
    reward = np.arange(5.0)[state]
    move = np.roll(np.eye(5), 1, axis=1)
    move[4] *= 1.0 - chance
    exact = np.linalg.solve(np.eye(5) - 0.9 * move, np.arange(5.0))
    new = temporal_difference(here, following, reward[:, None], 0.9, ended)
    np.testing.assert_allclose(solved_once(new, 1e-12)[:, 0], exact, rtol=0.01)


def test_the_critic_recovers_returns() -> None:
    theta, features = generic(1), RandomFeatures((5.0, 1.0, 1.0, 1.0, 1.0), 100)
    critic = ArrivalCritic(features, HORIZON, PROBLEM.leader_discount, 0.5, RIDGE)
    memory = critic.start(Streams([0]))
    critic.learn(batch_of(theta, [0], 1500, WIDE), memory)
    fresh = batch_of(theta, [1], 1500, WIDE)
    reward = fresh.leader_reward[0].reshape(-1, HORIZON)
    to_come = np.zeros_like(reward)
    for t in reversed(range(HORIZON)):
        later = to_come[:, t + 1] if t + 1 < HORIZON else 0.0
        to_come[:, t] = reward[:, t] + PROBLEM.leader_discount * later
    alive = fresh.alive[0]
    time = np.tile(np.arange(1, HORIZON + 1), len(reward))[alive]
    found = critic.values(0, fresh.next_state[0][alive], time, memory)
    truth = to_come.ravel()[alive]
    # Half of what a guess by time alone would miss: the goal has edges.
    guess = np.array([truth[time == t].mean() for t in range(1, HORIZON + 1)])[time - 1]
    assert np.square(found - truth).mean() < 0.5 * np.square(guess - truth).mean()
    assert abs(found.mean() - truth.mean()) < 0.05


def test_the_estimate_is_the_double_sum_over_advantages() -> None:
    theta, episodes = generic(1), 4
    batch = batch_of(theta, [0], episodes)
    assert batch.terminated.any()
    assert not batch.terminated.all()
    response, memory = watched(theta, batch, [0])
    made = leader()
    memory |= {"updates": np.zeros(1)}
    estimate = learner(made).learn(theta, response, batch, memory, Streams([0]))

    coefficients = response.memory["value_coefficients"][0][:, 0]
    direct, indirect = np.zeros((2, POLICY.num_parameters))
    for episode in range(episodes):
        rows = []
        for t in range(HORIZON):
            n = episode * HORIZON + t
            if not batch.alive[0, n]:
                break
            state, a = batch.state[0, n : n + 1], int(batch.leader_action[0, n])
            policy = POLICY.probabilities(theta[0], scaled(state))[0]
            ahead = response.answers(0, state)
            leader_values, follower_values = np.zeros((2, 3))
            for w in range(3):
                for node, weight in enumerate(ahead.weight):
                    end = ahead.arrival[:, w, node]
                    reached = made.critic.values(0, end, np.array([t + 1]), memory)[0]
                    leader_values[w] += weight * reached
                    expected = value_rows(end)[0] @ coefficients
                    follower_values[w] += weight * PROBLEM.follower_discount * expected
                follower_values[w] += TEMPERATURE * ahead.entropy[0, w]
            push = batch.follower_action[0, n]
            end = response.arrival(0, state, WINDS[a : a + 1], push)
            benefit = made.critic.values(0, end, np.array([t + 1]), memory)[0] - leader_values[a]
            score = POLICY.pull_back(theta[0], scaled(state), np.eye(3)[None, [a]])[0]
            own = leader_values[a] - policy @ leader_values
            rows.append((own, benefit, follower_values[a] - policy @ follower_values, score))
        for k, (own, _, follower, score) in enumerate(rows):
            direct += 0.9**k * own * score / episodes
            for t in range(k):
                weight = 0.95 ** (k - t) * 0.9**t * rows[t][1]
                indirect += weight * follower * score / (TEMPERATURE * episodes)
    np.testing.assert_allclose(estimate.direct[0], direct, atol=1e-10)
    np.testing.assert_allclose(estimate.indirect[0], indirect, atol=1e-10)
    assert np.abs(indirect).max() > 1e-6


def test_the_expected_sensitivity_is_the_mean_of_the_sampled_one() -> None:
    # The sampled one is still noisy after thousands of episodes.
    theta, terms = generic(1), list[Floats]()
    for expected in (False, True):
        batch = batch_of(theta, [0], 3000)
        response, memory = watched(theta, batch, [0])
        memory |= {"updates": np.zeros(1)}
        estimate = learner(leader(expected)).learn(theta, response, batch, memory, Streams([0]))
        terms.append(estimate.indirect[0])
    sampled, exact = terms
    cosine = sampled @ exact / np.linalg.norm(sampled) / np.linalg.norm(exact)
    assert cosine > 0.5
    assert 0.3 < np.linalg.norm(exact) / np.linalg.norm(sampled) < 1.5


@pytest.mark.parametrize("expected", [False, True])
def test_bits_do_not_depend_on_the_batch(expected: bool) -> None:
    def estimates(runs: list[int]) -> Any:
        theta = generic(3)[runs]
        streams, believed = Streams(runs), belief(len(runs))
        made = learner(leader(expected), len(runs))
        memory = believed.start(streams) | made.start(streams)
        for _ in range(2):
            batch = batch_of(theta, runs, 4)
            found = made.learn(theta, believed.learn(theta, batch, memory), batch, memory, streams)
        return found

    together = estimates([0, 1, 2])
    for run in range(3):
        alone = estimates([run])
        np.testing.assert_array_equal(together.direct[run], alone.direct[0])
        np.testing.assert_array_equal(together.indirect[run], alone.indirect[0])


def test_older_batches_count_less_in_what_the_leader_learns() -> None:
    theta, made, streams = generic(1), leader(expected=True), Streams([0])
    batches = [batch_of(theta, [seed], 20) for seed in (0, 1)]
    response, _ = watched(theta, batches[0], [0])

    def matrices(*seen: CartPoleBatch) -> dict[str, Floats]:
        memory: Any = made.start(streams)
        memory["leader_value_features"] = features
        for batch in seen:
            made.learn(theta, response, batch, batch, memory, streams)
        names = ("leader_value_matrix", "leader_value_vector", "follower_slope_matrix")
        return {name: memory[name] for name in names}

    features = made.start(streams)["leader_value_features"]
    both, old, new = matrices(*batches), matrices(batches[0]), matrices(batches[1])
    for name, found in both.items():
        np.testing.assert_allclose(found, 0.5 * old[name] + new[name], rtol=1e-9, atol=1e-12)
        assert np.abs(old[name]).max() > 0.1


def test_watching_needs_the_follower_s_rewards() -> None:
    theta, believed = generic(1), belief(1)
    blind = replace(batch_of(theta, [0], 2), follower_reward=None)
    with pytest.raises(ValueError, match="rewards"):
        believed.learn(theta, blind, believed.start(Streams([0])))


def test_an_idle_leader_estimates_nothing() -> None:
    estimate = Idle().estimate(generic(2), None, {}, Streams([0, 1]))
    assert not estimate.gradient.any()
    assert np.isnan(estimate.leader_return_sampled).all()
    assert estimate.env_steps == 0
