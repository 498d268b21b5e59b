"""Guided cart-pole: Gymnasium's physics without wind, and what the wind adds."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.problems.guided_cartpole.gym import GuidedCartPoleEnv
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole

Floats = NDArray[np.float64]
PROBLEM = GuidedCartPole()


def states(number: int) -> Floats:
    scale = np.array([1.0, 1.0, 0.2, 1.0])
    return np.random.default_rng(0).standard_normal((number, 4)) * scale


def test_without_wind_the_physics_are_gymnasiums() -> None:
    reference: Any = gymnasium.make("CartPole-v1").unwrapped
    reference.reset()
    for state in states(20):
        for direction in (0, 1):
            reference.state, reference.steps_beyond_terminated = tuple(state), None
            reference.step(direction)
            found = PROBLEM.transition(state, np.float64(0.0), np.float64(2 * direction - 1))
            np.testing.assert_allclose(found, reference.state, rtol=1e-12)


def test_wind_turns_the_pole_and_leaves_the_cart_alone() -> None:
    here = states(5)
    wind = np.array([1.0, -0.5, 0.3, 2.0, -3.0])
    moved = PROBLEM.transition(here, wind, np.zeros(5)) - PROBLEM.transition(
        here, np.zeros(5), np.zeros(5)
    )
    blown = 0.02 * 20.0 * np.clip(wind, -1.0, 1.0) * np.cos(here[:, 2]) ** 2
    np.testing.assert_allclose(moved[:, 3], blown, rtol=1e-9)
    np.testing.assert_allclose(moved[:, :3], 0.0, atol=1e-15)


def test_the_leader_is_paid_for_where_a_step_ends() -> None:
    positions = np.array([0.25, 0.2500001, 0.5, 0.7499999, 0.75, -0.5])
    ends = np.zeros((6, 4))
    ends[:, 0] = positions
    np.testing.assert_array_equal(PROBLEM.leader_reward(ends), [0, 1, 1, 1, 0, 0])


def test_an_episode_ends_where_gymnasiums_does() -> None:
    ends = np.zeros((5, 4))
    ends[1, 0], ends[2, 0] = 2.41, -2.39
    ends[3, 2], ends[4, 2] = 0.2095, -0.2094
    np.testing.assert_array_equal(PROBLEM.fallen(ends), [False, True, False, True, False])
    reference: Any = gymnasium.make("CartPole-v1").unwrapped
    assert reference.theta_threshold_radians == pytest.approx(PROBLEM.angle_limit)
    assert reference.x_threshold == PROBLEM.limit


def test_the_first_state_is_uniform() -> None:
    first = PROBLEM.first_state(np.array([0.0, 0.25, 0.5, 1.0]))
    np.testing.assert_allclose(first, [-0.05, -0.025, 0.0, 0.05])


@pytest.mark.parametrize(
    ("name", "value"),
    [("wind", 0.0), ("goal", (0.75, 0.25)), ("follower_discount", 1.0), ("max_episode_steps", 0)],
)
def test_an_impossible_number_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        GuidedCartPole(**{name: value})


@pytest.mark.filterwarnings("ignore:.*space m.* value is:UserWarning")
def test_honours_the_gymnasium_contract() -> None:
    check_env(gymnasium.make("bilevelrl/GuidedCartPole-v0").unwrapped)


def test_an_action_is_the_leader_s_followed_by_the_follower_s() -> None:
    env = GuidedCartPoleEnv()
    start, info = env.reset(seed=1)
    assert (np.abs(start) <= 0.05).all()
    assert info["follower_observes"] == "state and leader action"
    after, reward, terminated, truncated, info = env.step(np.array([0.5, -1.0]))
    np.testing.assert_array_equal(
        after, PROBLEM.transition(start, np.float64(0.5), np.float64(-1.0))
    )
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert info["follower_reward"] == 1.0


def test_a_pole_that_falls_ends_the_episode() -> None:
    env = GuidedCartPoleEnv()
    env.reset(seed=0)
    for _ in range(200):
        _, _, terminated, truncated, info = env.step(np.array([1.0, 0.0]))
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["follower_reward"] == 1.0
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="two numbers"):
        env.step(np.array([2.0, 0.0]))
