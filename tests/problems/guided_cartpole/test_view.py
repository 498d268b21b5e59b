"""The follower's view of the guided cart-pole, and episodes of both players."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy, StateNetwork
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import SCALE, CartPoleView, scaled

Floats = NDArray[np.float64]
PROBLEM = GuidedCartPole()
WINDS = np.array([-0.5, 0.0, 0.5])
POLICY = ModulePolicy(4, 3, (8, 6))
HORIZON = PROBLEM.max_episode_steps


def generic(num_runs: int) -> Floats:
    shape = (num_runs, POLICY.num_parameters)
    return 0.5 * np.random.default_rng(4).standard_normal(shape)


class Pusher:
    """Pushes against the pole's angle, with noise."""

    def act(self, observation: Floats, normals: Floats) -> tuple[Floats, Floats]:
        push = np.tanh(observation[:, 2:3] + observation[:, 3:4] + 0.3 * normals)
        return push, np.zeros(len(push))


class Faller:
    """Does not care."""

    def act(self, observation: Floats, normals: Floats) -> tuple[Floats, Floats]:
        return np.tanh(normals), np.zeros(len(observation))


def blown(*wind_logits: float, problem: GuidedCartPole = PROBLEM) -> CartPoleView:
    """With winds from a softmax of these numbers, wherever the cart is."""
    theta = np.zeros(POLICY.num_parameters)
    theta[-3:] = wind_logits
    return CartPoleView(problem, POLICY, WINDS, theta)


@pytest.mark.filterwarnings("ignore:.*space m.* value is:UserWarning")
@pytest.mark.filterwarnings("ignore:.*not having a spec:UserWarning")
def test_honours_the_gymnasium_contract() -> None:
    check_env(blown(0.0, 0.0, 0.0), skip_render_check=True)


def test_a_step_is_the_problem_s_with_the_wind_that_was_shown() -> None:
    env = blown(0.0, -50.0, 0.0)
    seen, _ = env.reset(seed=1)
    winds = set()
    for push in (0.5, -1.0, 0.25, 0.5):
        state, wind = SCALE * seen[:4], seen[4]
        winds.add(float(wind))
        seen, reward, terminated, truncated, _ = env.step(np.array([push], np.float32))
        after = PROBLEM.transition(state, wind, np.float64(push))
        np.testing.assert_allclose(seen[:4], scaled(after), atol=1e-6)
        assert (reward, terminated, truncated) == (1.0, False, False)
    assert winds == {-0.5, 0.5}


def test_the_leader_can_be_replaced() -> None:
    env = blown(50.0, 0.0, 0.0)
    first, _ = env.reset(seed=0)
    env.face(blown(0.0, 0.0, 50.0).theta)
    second = env.step(np.zeros(1, np.float32))[0]
    assert (first[4], second[4]) == (-0.5, 0.5)


def test_instances_share_no_space() -> None:
    first, second = blown(0.0, 0.0, 0.0), blown(0.0, 0.0, 0.0)
    assert first.action_space is not second.action_space
    assert first.observation_space is not second.observation_space


def test_a_fall_terminates_and_the_last_step_truncates() -> None:
    env = blown(0.0, 0.0, 50.0)
    env.reset(seed=0)
    ends = [False, False]
    while not any(ends):
        _, reward, *ends, _ = env.step(np.zeros(1, np.float32))
    assert ends == [True, False]
    assert reward == 1.0
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1, np.float32))
    short = blown(0.0, 50.0, 0.0, problem=GuidedCartPole(max_episode_steps=2))
    short.reset(seed=0)
    assert not any(short.step(np.zeros(1, np.float32))[2:4])
    assert short.step(np.zeros(1, np.float32))[2:4] == (False, True)


@pytest.mark.parametrize("action", [np.zeros(2), np.array([np.nan])])
def test_a_push_is_one_number_in_range(action: Any) -> None:
    env = blown(0.0, 0.0, 0.0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must be \(1,\) numbers in \[-1, 1\]"):
        env.step(action)


def played(theta: Floats, agents: list[Any], seeds: list[int], episodes: int = 3) -> CartPoleBatch:
    streams = Streams(seeds)
    uniforms = streams.uniforms("rollout", (episodes, 4 + HORIZON))
    normals = streams.normals("rollout", (episodes, HORIZON))
    return CartPoleRollout(PROBLEM, POLICY, WINDS).play(theta, agents, uniforms, normals)


def test_episodes_follow_the_problem_until_they_end() -> None:
    batch = played(generic(1), [Pusher()], [0])
    alive, fell = batch.alive[0].reshape(3, -1), batch.terminated[0].reshape(3, -1)
    assert fell.any()
    after = PROBLEM.transition(
        batch.state, WINDS[batch.leader_action], batch.follower_action[..., 0]
    )
    np.testing.assert_array_equal(batch.next_state[batch.alive], after[batch.alive])
    np.testing.assert_array_equal(batch.terminated, PROBLEM.fallen(after) & batch.alive)
    for going, end in zip(alive, fell, strict=True):
        length = going.sum()
        assert going[:length].all()
        assert end.sum() == (length < HORIZON)
        assert length == HORIZON or end[length - 1]
    same = batch.next_state[0, :-1] == batch.state[0, 1:]
    within = np.arange(1, 3 * HORIZON) % HORIZON > 0
    assert same[within].all()
    np.testing.assert_array_equal(batch.next_state[~batch.alive], batch.state[~batch.alive])
    assert (batch.follower_rewards() == batch.alive).all()
    np.testing.assert_array_equal(
        batch.leader_reward, PROBLEM.leader_reward(batch.next_state) * batch.alive
    )


def test_bits_do_not_depend_on_the_batch() -> None:
    theta, agents = generic(3), [Pusher(), Faller(), Pusher()]
    together = played(theta, agents, [5, 6, 7])
    for run in range(3):
        alone = played(theta[run : run + 1], agents[run : run + 1], [5 + run])
        for name in ("state", "leader_action", "follower_action", "leader_reward", "alive"):
            np.testing.assert_array_equal(getattr(together, name)[run], getattr(alone, name)[0])


def test_pull_back_is_the_gradient_of_the_log_probability() -> None:
    theta, rng = generic(1)[0], np.random.default_rng(1)
    state, action = rng.standard_normal((6, 4)), rng.integers(3, size=6)
    weights = rng.standard_normal(6)

    def total(at: Floats) -> float:
        chosen = POLICY.probabilities(at, state)[np.arange(6), action]
        return float(weights @ np.log(chosen))

    steps = 1e-6 * np.eye(POLICY.num_parameters)
    numeric = [(total(theta + step) - total(theta - step)) / 2e-6 for step in steps]
    choices = np.eye(3)[action] * weights[:, None]
    both = POLICY.pull_back(theta, state, np.stack([choices, 2.0 * choices]))
    np.testing.assert_allclose(both[0], numeric, atol=1e-7)
    np.testing.assert_allclose(both[1], 2.0 * both[0], rtol=1e-12)


def test_theta_is_what_pytorch_calls_the_parameters() -> None:
    theta = generic(1)[0]
    network = StateNetwork(4, 3, (8, 6), np.random.default_rng(0))
    torch.nn.utils.vector_to_parameters(torch.as_tensor(theta), network.parameters())
    states = np.random.default_rng(0).standard_normal((5, 4))
    expected = network(torch.as_tensor(states)).probs.detach().numpy()
    np.testing.assert_allclose(POLICY.probabilities(theta, states), expected, rtol=1e-14)


def test_a_leader_starts_uniform_and_draws_what_it_says() -> None:
    first = POLICY.initial_parameters(Streams([0, 1]))
    states = np.random.default_rng(0).standard_normal((5, 4))
    np.testing.assert_allclose(POLICY.probabilities(first[0], states), 1.0 / 3.0, rtol=1e-15)
    assert not np.array_equal(*first)
    theta, uniforms = generic(1)[0], (np.arange(4000) + 0.5) / 4000
    state = np.tile(states[:1], (4000, 1))
    shares = np.bincount(POLICY.choose(theta, state, uniforms), minlength=3) / 4000
    np.testing.assert_allclose(shares, POLICY.probabilities(theta, state)[0], atol=1e-3)


def test_views_that_are_looked_at_together_see_what_each_would_alone() -> None:
    alone, together = ([blown(0.5, 0.0, -0.5) for _ in range(3)] for _ in range(2))
    pushes = np.random.default_rng(2).uniform(-1.0, 1.0, (9, 3, 1)).astype(np.float32)
    for place, pair in enumerate(zip(alone, together, strict=True)):
        for view in pair:
            view.reset(seed=place)
    for push in pushes:
        expected = [view.step(own) for view, own in zip(alone, push, strict=True)]
        told = [view.advance(own) for view, own in zip(together, push, strict=True)]
        assert told == [step[1:4] for step in expected]
        seen = together[0].look(together)
        np.testing.assert_array_equal(seen, np.stack([step[0] for step in expected]))
    assert len({tuple(row) for row in seen}) == 3
