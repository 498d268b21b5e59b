"""The discrete toy as a Gymnasium environment; BilevelLQR has a file of its own."""

import pickle
from itertools import product

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.problems.discrete_toy.gym import DiscreteToyEnv

S, A, B = range(3)


def make(**options: object) -> DiscreteToyEnv:
    env = gymnasium.make("bilevelrl/DiscreteToy-v0", **options).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, DiscreteToyEnv)
    return env


def pair(leader: int, follower: int) -> NDArray[np.int64]:
    return np.array([leader, follower])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_honours_the_gymnasium_contract(render_mode: str | None) -> None:
    check_env(make(render_mode=render_mode))


def test_spaces_count_states_and_the_actions_of_both() -> None:
    env = make()
    assert env.observation_space == gymnasium.spaces.Discrete(3)
    assert env.action_space == gymnasium.spaces.MultiDiscrete(np.array([2, 3]))


@pytest.mark.parametrize("options", [{}, {"revisit_reward": 2.0}])
def test_every_step_is_that_of_the_tables(options: dict[str, float]) -> None:
    env = make(**options)
    game = env.game
    assert game.follower_reward[A, 0, B] == options.get("revisit_reward", 1.0)
    for s, a, b in product(range(3), range(2), range(3)):
        env.reset()
        env._state = s
        after, reward, terminated, truncated, info = env.step(pair(a, b))
        assert game.transition[s, a, b, after] == 1.0
        assert reward == game.leader_reward[s, a, b]
        assert info["follower_reward"] == game.follower_reward[s, a, b]
        assert info["follower_observes"] == "state and leader action"
        assert (terminated, truncated) == (False, False)


def test_a_tour_written_out() -> None:
    # S to A (both earn), sent back (fine), to A again, on to B (2), wait, back to S.
    env = make(revisit_reward=2.0)
    env.reset()
    moves = [(1, A), (1, A), (0, A), (0, B), (1, A), (0, S)]
    steps = [env.step(pair(*move)) for move in moves]
    assert [int(step[0]) for step in steps] == [A, S, A, B, B, S]
    assert [step[1] for step in steps] == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert [step[4]["follower_reward"] for step in steps] == [1.0, -1.0, 1.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("env", "limit"), [(make(), 150), (DiscreteToyEnv(max_episode_steps=3), 3)]
)
def test_only_the_time_limit_ends_an_episode(env: DiscreteToyEnv, limit: int) -> None:
    for _ in range(2):
        assert env.reset()[0] == S
        steps = [env.step(pair(0, B)) for _ in range(limit)]
        assert [step[3] for step in steps] == [False] * (limit - 1) + [True]
        assert not any(step[2] for step in steps)
        assert steps[-1][0] == B  # the state that was reached, not the next episode's first


def test_a_step_outside_an_episode_is_refused() -> None:
    env = DiscreteToyEnv(max_episode_steps=1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(pair(0, 0))
    env.reset()
    env.step(pair(0, 0))
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(pair(0, 0))


@pytest.mark.parametrize(
    "action", [pair(2, 0), pair(0, 3), pair(-1, 0), np.array([1]), np.int64(1)]
)
def test_impossible_actions_are_refused(action: NDArray[np.int64]) -> None:
    env = make()
    env.reset()
    with pytest.raises(ValueError, match="action must be in"):
        env.step(action)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"render_mode": "human"}, "human"),
        ({"max_episode_steps": 0}, "max_episode_steps"),
        ({"revisit_reward": np.nan}, "revisit_reward must be a finite number, got nan"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        DiscreteToyEnv(**options)  # type: ignore[arg-type]


def test_text_shows_the_state_and_the_last_move() -> None:
    env = make(render_mode="ansi")
    env.reset()
    assert env.render() == "[S] A B\n"
    env.step(pair(0, A))
    assert env.render() == "S [A] B after S, leader 0, follower a\n"
    env.step(pair(1, B))
    assert env.render() == "[S] A B after A, leader 1, follower b\n"
    env.reset()
    assert env.render() == "[S] A B\n"


def test_rendering_without_a_mode_warns() -> None:
    env = DiscreteToyEnv()
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_a_pickled_copy_continues_alike() -> None:
    env = make()
    env.reset(seed=5)
    env.step(pair(0, A))
    copy = pickle.loads(pickle.dumps(env))
    assert [env.step(pair(0, B)) for _ in range(3)] == [copy.step(pair(0, B)) for _ in range(3)]
