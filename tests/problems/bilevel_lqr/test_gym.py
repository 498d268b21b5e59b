import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.gym import BilevelLQREnv

Floats = NDArray[np.float64]
ACTION = np.array([2.0, -1.5])  # leader, follower


def make(**options: object) -> BilevelLQREnv:
    env = gymnasium.make("bilevelrl/BilevelLQR-v0", **options).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, BilevelLQREnv)
    return env


# The checker advises against unbounded spaces, which this game has by nature.
@pytest.mark.filterwarnings("ignore:.*space m.* value is:UserWarning")
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space:UserWarning")
def test_honours_the_gymnasium_contract() -> None:
    check_env(make())


def test_an_action_is_the_leader_s_followed_by_the_follower_s() -> None:
    env = BilevelLQREnv()
    start, info = env.reset()
    np.testing.assert_array_equal(start, [1.0, 0.0])
    assert info == {"follower_observes": "state and leader action"}
    after, reward, terminated, truncated, info = env.step(ACTION)
    np.testing.assert_allclose(after, [0.2, -0.15], rtol=1e-15)
    # Of the state that was left: (1, 0) is 9 standard deviations from the target.
    assert reward == pytest.approx(np.exp(-40.5))
    assert info["follower_reward"] == pytest.approx(-(1.0 + 1.5**2))
    assert info["follower_observes"] == "state and leader action"
    assert (terminated, truncated) == (False, False)
    _, reward, _, _, info = env.step(np.zeros(2))
    assert reward == pytest.approx(np.exp(-0.5 * ((1.0 / 0.2) ** 2 + 15.0**2)))
    assert info["follower_reward"] == pytest.approx(-(0.2**2 + 0.15**2))


def test_only_the_time_limit_ends_an_episode() -> None:
    env = BilevelLQREnv()
    for _ in range(2):
        env.reset()
        ends = [env.step(ACTION)[2:4] for _ in range(100)]
        assert ends == [(False, False)] * 99 + [(False, True)]
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(ACTION)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        BilevelLQREnv().step(ACTION)


def test_fields_of_the_problem_are_options() -> None:
    env = make(initial_state=(0.5, 0.25), follower_matrix=((0.0, 0.0), (0.1, 0.3)),
               control_cost=((1.0, 0.0), (0.0, 2.0)))  # fmt: skip
    assert env.action_space.shape == (3,)
    start, _ = env.reset()
    np.testing.assert_array_equal(start, [0.5, 0.25])
    after, *_, info = env.step(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(after, [0.35, 1.1])
    assert info["follower_reward"] == pytest.approx(-(0.25 + 0.0625 + 4.0 + 18.0))
    with pytest.raises(ValueError, match="follower_discount"):
        BilevelLQREnv(follower_discount=2.0)
    with pytest.raises(TypeError, match="friction"):
        BilevelLQREnv(friction=1.0)


@pytest.mark.parametrize("action", [np.zeros(1), np.array([0.0, np.nan]), np.array([np.inf, 0.0])])
def test_impossible_actions_are_refused(action: Floats) -> None:
    env = BilevelLQREnv()
    env.reset()
    with pytest.raises(ValueError, match="finite"):
        env.step(action)


def test_what_a_caller_does_to_an_observation_stays_with_the_caller() -> None:
    env = BilevelLQREnv()
    start, _ = env.reset()
    start[:] = 100.0
    after, *_ = env.step(ACTION)
    after[:] = 100.0
    np.testing.assert_allclose(env.step(np.zeros(2))[0], [-0.15, 0.0], atol=1e-15)
    np.testing.assert_array_equal(env.reset()[0], [1.0, 0.0])


def test_a_pickled_copy_continues_alike() -> None:
    env = BilevelLQREnv()
    env.reset()
    env.step(ACTION)
    copy = pickle.loads(pickle.dumps(env))
    np.testing.assert_array_equal(env.step(ACTION)[0], copy.step(ACTION)[0])
