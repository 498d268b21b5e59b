"""Building thermal control as a Gymnasium environment."""

import pickle
from dataclasses import fields

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.problems.thermal_control.gym import ThermalControlEnv
from bilevelrl.problems.thermal_control.problem import ThermalControl
from tests.buildings import (
    ACTION,
    MEAN,
    PUBLISHED,
    STATE,
    THETA_X,
    building,
    designs,
    literal_dynamics,
)

Floats = NDArray[np.float64]


def make(**options: object) -> ThermalControlEnv:
    env = gymnasium.make("bilevelrl/ThermalControl-v0", **options).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, ThermalControlEnv)
    return env


# The checker advises against unbounded spaces, which this problem has by nature.
@pytest.mark.filterwarnings("ignore:.*space m.* value is:UserWarning")
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space:UserWarning")
@pytest.mark.parametrize("options", [{}, {"theta": THETA_X}])
def test_honours_the_gymnasium_contract(options: dict[str, object]) -> None:
    check_env(make(**options))


def test_a_transition_by_hand() -> None:
    env = make(theta=THETA_X, noise=1e-12)
    env.reset(seed=0)
    env._state = STATE
    after, reward, terminated, truncated, info = env.step(ACTION)
    np.testing.assert_allclose(after, MEAN, rtol=1e-9)
    assert reward == pytest.approx(-153.0125)
    parts = {"stability": -7.25, "energy": 1.25, "insulation": 1.2, "airflow": 1.4}
    assert info == pytest.approx({"leader_reward": -8.135} | parts)
    assert (terminated, truncated) == (False, False)


@pytest.mark.parametrize(
    "problem",
    [
        PUBLISHED,
        ThermalControl.published(state_limit=0.5),
        building(3, 1, state_limit=0.5),
        building(5, 3),
    ],
    ids=["published", "narrow", "3 zones", "5 zones"],
)
def test_an_episode_follows_the_equations(problem: ThermalControl) -> None:
    zones, numbers = problem.num_zones, {f.name: getattr(problem, f.name) for f in fields(problem)}
    env = ThermalControlEnv(designs(problem, 1)[0], **numbers)
    drift = literal_dynamics(problem, env.theta)
    draws, rng = np.random.default_rng(3), np.random.default_rng(4)
    state, info = env.reset(seed=3)
    assert info == {}
    expected = problem.initial_deviation * draws.standard_normal(zones)
    clipped = 0
    for _ in range(problem.max_episode_steps):
        np.testing.assert_allclose(state, expected, rtol=1e-11, atol=1e-13)
        action = 2.0 * rng.standard_normal(problem.input_matrix.shape[1:])
        after, reward, _, _, info = env.step(action)
        cost = state @ problem.state_cost @ state + action @ problem.control_cost @ action
        assert reward == pytest.approx(-cost)
        level = 1.0 / (1.0 + np.exp(-env.theta))
        parts = [
            -np.mean((state - state.mean()) ** 2), action @ action,
            level[:zones] @ level[:zones], level[zones:] @ level[zones:],
        ]  # fmt: skip
        assert [*info.values()][1:] == pytest.approx(parts)
        weights = [
            problem.stability_weight, -problem.energy_weight,
            -problem.insulation_weight, -problem.airflow_weight,
        ]  # fmt: skip
        assert info["leader_reward"] == pytest.approx(np.dot(weights, parts))
        mean = drift @ state + problem.input_matrix @ action
        bounded = np.minimum(np.maximum(mean, -problem.state_limit), problem.state_limit)
        clipped += int((bounded != mean).sum())
        expected = bounded + problem.noise * draws.standard_normal(zones)
        state = after
    assert (clipped > 10) == (problem.state_limit < 1.0)


def test_starts_are_normal_and_not_clipped() -> None:
    env = make(state_limit=6.0)
    starts = np.stack([env.reset(seed=seed)[0] for seed in range(1000)])
    assert stats.kstest(starts.ravel() / 5.0, "norm").pvalue > 1e-4
    assert np.abs(starts).max() > 12.0


def test_actions_are_not_clipped() -> None:
    env = make(noise=1e-12)
    env.reset(seed=0)
    env._state = np.zeros(4)
    after, reward, _, _, info = env.step(np.array([40.0, -30.0]))
    np.testing.assert_allclose(after, [4.0, 24.0, -16.5, -9.0])
    assert (reward, info["energy"]) == pytest.approx((-25.0, 2500.0))


def test_the_seed_decides_everything() -> None:
    def episode(env: ThermalControlEnv, seed: int | None) -> Floats:
        states = [env.reset(seed=seed)[0]]
        states += [env.step(np.array([1.0, -1.0]))[0] for _ in range(20)]
        return np.stack(states)

    first, second = make(), make()
    np.testing.assert_array_equal(episode(first, 5), episode(second, 5))
    # Without a seed the numbers go on, and do so alike.
    again = episode(first, None)
    np.testing.assert_array_equal(again, episode(second, None))
    assert (again != episode(first, 5)).any(axis=1).all()
    assert (episode(first, 6) != episode(first, 5)).any(axis=1).all()


@pytest.mark.parametrize(
    ("env", "limit"), [(make(), 100), (ThermalControlEnv(max_episode_steps=3), 3)]
)
def test_only_the_time_limit_ends_an_episode(env: ThermalControlEnv, limit: int) -> None:
    for _ in range(2):
        env.reset(seed=1)
        ends = [env.step(np.array([30.0, 0.0]))[2:4] for _ in range(limit)]
        assert ends == [(False, False)] * (limit - 1) + [(False, True)]
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(ACTION)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        ThermalControlEnv().step(ACTION)


@pytest.mark.parametrize("action", [np.zeros(4), np.array([0.0, np.nan]), np.array([np.inf, 0.0])])
def test_impossible_actions_are_refused(action: Floats) -> None:
    env = make()
    env.reset()
    with pytest.raises(ValueError, match=r"action must be \(2,\) finite"):
        env.step(action)


@pytest.mark.parametrize(
    "theta", [np.zeros(7), np.zeros((1, 8)), [0.0, np.nan] * 4, "warm", [[0.0], [1.0, 2.0]]]
)
def test_impossible_designs_are_refused(theta: object) -> None:
    with pytest.raises(ValueError, match="theta must be 8 numbers, got"):
        make(theta=theta)


def test_other_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="noise must be positive"):
        ThermalControlEnv(noise=0.0)
    with pytest.raises(TypeError, match="friction"):
        ThermalControlEnv(friction=1.0)


def test_infinite_logits_are_the_ends() -> None:
    env = make(theta=[np.inf, -np.inf] * 4)
    env.reset(seed=0)
    info = env.step(ACTION)[4]
    assert (info["insulation"], info["airflow"]) == (2.0, 2.0)


def test_what_a_caller_does_to_arrays_stays_with_the_caller() -> None:
    theta = THETA_X.copy()
    env, untouched = make(theta=theta), make(theta=THETA_X)
    theta[:] = 0.0
    start, _ = env.reset(seed=2)
    untouched.reset(seed=2)
    start[:] = 100.0
    after, *_ = env.step(ACTION)
    untouched.step(ACTION)
    after[:] = 100.0
    np.testing.assert_array_equal(env.step(ACTION)[0], untouched.step(ACTION)[0])
    np.testing.assert_array_equal(env.theta, THETA_X)


def test_a_pickled_copy_continues_alike() -> None:
    env = make(theta=THETA_X)
    env.reset(seed=2)
    env.step(ACTION)
    copy = pickle.loads(pickle.dumps(env))
    np.testing.assert_array_equal(env.step(ACTION)[0], copy.step(ACTION)[0])
