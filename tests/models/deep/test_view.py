"""What the followers of problems with a continuous state face."""

from collections.abc import Callable

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.models.deep.view import FollowerView
from bilevelrl.problems.bilevel_lqr.follower_task import LinearFollowerTask
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask
from bilevelrl.problems.thermal_control.problem import ThermalControl
from tests.buildings import PUBLISHED, THETA_X, building, designs
from tests.sac_params import agents

Floats = NDArray[np.float64]
GAIN = np.array([-5.0, -3.0])
LQR = BilevelLQR.published(leader_noise=0.3)


def thermal(
    horizon: int = 100, theta: Floats = THETA_X, problem: ThermalControl = PUBLISHED
) -> FollowerView:
    rule = agents(action_bound=20.0, training_horizon=horizon)
    return ThermalFollowerTask(problem).view(theta, rule)


def linear(horizon: int = 100) -> FollowerView:
    rule = agents(action_bound=3.0, training_horizon=horizon)
    return LinearFollowerTask(LQR, 1.0).view(GAIN, rule)


# The checker advises against unbounded spaces, which these problems have by nature.
@pytest.mark.filterwarnings("ignore:.*space m.* value is:UserWarning")
# It also expects environments to be registered.
@pytest.mark.filterwarnings("ignore:.*not having a spec:UserWarning")
@pytest.mark.parametrize("view", [thermal(), linear(), linear(7)], ids=["thermal", "lqr", "short"])
def test_honours_the_gymnasium_contract(view: FollowerView) -> None:
    check_env(view)


@pytest.mark.parametrize("problem", [PUBLISHED, building(5, 3, state_limit=0.5)])
def test_a_thermal_episode_follows_the_problem(problem: ThermalControl) -> None:
    first, second = designs(problem, 2)
    view = thermal(20, first, problem)
    draws, rng = np.random.default_rng(3), np.random.default_rng(4)
    seen, _ = view.reset(seed=3)
    zones, units = problem.input_matrix.shape
    state = problem.initial_deviation * draws.standard_normal(zones)
    for step in range(20):
        np.testing.assert_allclose(seen, state / problem.initial_deviation, rtol=1e-6, atol=1e-6)
        theta = first
        if step >= 5:
            view.face(theta := second)
        played = rng.uniform(-1.0, 1.0, (units,)).astype(np.float32)
        seen, reward, terminated, truncated, _ = view.step(played)
        action = 20.0 * played.astype(np.float64)
        assert reward == pytest.approx(problem.follower_reward(state, action))
        mean = problem.dynamics(theta[None])[0] @ state + problem.input_matrix @ action
        bounded = np.clip(mean, -problem.state_limit, problem.state_limit)
        state = bounded + problem.noise * draws.standard_normal(zones)
        assert (terminated, truncated) == (False, step == 19)


def test_a_linear_episode_follows_the_problem() -> None:
    view = linear()
    draws, rng = np.random.default_rng(3), np.random.default_rng(4)
    seen, _ = view.reset(seed=3)
    state, innovation = LQR.initial_state, draws.standard_normal(1)
    gain = GAIN
    for step in range(100):
        np.testing.assert_allclose(seen, [*state, *innovation], rtol=1e-6, atol=1e-6)
        if step == 5:
            view.face(gain := np.array([-2.0, 1.0]))
        played = rng.uniform(-1.0, 1.0, 1).astype(np.float32)
        seen, reward, terminated, truncated, _ = view.step(played)
        action = 3.0 * played.astype(np.float64)
        assert reward == pytest.approx(LQR.follower_reward(state, action))
        leader = gain @ state + 0.3 * innovation
        state, innovation = LQR.transition(state, leader, action), draws.standard_normal(1)
        assert (terminated, truncated) == (False, step == 99)


@pytest.mark.parametrize("make", [thermal, linear])
def test_the_follower_may_begin_again_early(make: Callable[..., FollowerView]) -> None:
    view = make(3)
    for _ in range(2):
        view.reset(seed=1)
        still = np.zeros_like(view.action_space.sample())
        assert [view.step(still)[3] for _ in range(3)] == [False, False, True]
        with pytest.raises(ResetNeeded):
            view.step(still)


@pytest.mark.parametrize("make", [thermal, linear])
def test_spaces_belong_to_one_view(make: Callable[..., FollowerView]) -> None:
    first, second = make(), make()
    assert first.action_space is not second.action_space
    assert first.observation_space is not second.observation_space


@pytest.mark.parametrize("action", [[0.0, 1.1], [np.nan, 0.0], [0.0]])
def test_impossible_actions_are_refused(action: list[float]) -> None:
    view = thermal()
    view.reset()
    with pytest.raises(ValueError, match=r"action must be \(2,\) numbers in \[-1, 1\]"):
        view.step(np.array(action, np.float32))


def test_what_a_caller_does_to_arrays_stays_with_the_caller() -> None:
    theta = THETA_X.copy()
    view = thermal(theta=theta)
    theta[:] = 0.0
    np.testing.assert_array_equal(view.theta, THETA_X)
