"""EscapeRoom's rules, arrays and environments say the same."""

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test

from bilevelrl.problems.escape_room.gym import EscapeRoomEnv
from bilevelrl.problems.escape_room.parallel import parallel_env
from bilevelrl.problems.escape_room.problem import DOOR, LEVER, START, EscapeRoom


def step(room, positions, actions):
    reward, over = room.step(np.array(positions), np.array(actions))
    return reward.tolist(), over


def test_one_pulls_and_the_other_leaves():
    room = EscapeRoom(2, 1)
    assert step(room, (START, START), (LEVER, DOOR)) == ([-1.0, 10.0], True)
    assert room.best_total == 9.0
    assert EscapeRoom(3, 2).best_total == 8.0


@pytest.mark.parametrize(
    ("positions", "actions", "reward", "over"),
    [
        ((START, START), (START, START), [0.0, 0.0], False),
        ((START, START), (DOOR, DOOR), [-1.0, -1.0], False),  # nobody pulls
        ((START, START), (LEVER, LEVER), [-1.0, -1.0], False),  # nobody leaves
        ((LEVER, DOOR), (LEVER, DOOR), [0.0, 10.0], True),  # staying costs nothing
        ((DOOR, START), (LEVER, START), [-1.0, 0.0], False),
    ],
)
def test_moves_cost_and_stays_do_not(positions, actions, reward, over):
    assert step(EscapeRoom(2, 1), positions, actions) == (reward, over)


def test_one_lever_of_two_opens_nothing():
    room = EscapeRoom(3, 2)
    assert step(room, (START,) * 3, (LEVER, DOOR, DOOR)) == ([-1.0, -1.0, -1.0], False)
    assert step(room, (START,) * 3, (LEVER, LEVER, DOOR)) == ([-1.0, -1.0, 10.0], True)


@pytest.mark.parametrize(("players", "levers"), [(2, 1), (3, 2)])
def test_no_play_gets_more_than_the_best_total(players, levers):
    game = EscapeRoom(players, levers).game(1.0)
    value = np.zeros(game.num_states)
    for _ in range(game.max_episode_steps):
        value = (game.leader_reward + game.transition @ value).max(axis=1)
    assert value @ game.initial == EscapeRoom(players, levers).best_total


@pytest.mark.parametrize(("players", "levers"), [(2, 1), (3, 2)])
def test_the_environment_plays_by_the_arrays(players, levers):
    room = EscapeRoom(players, levers)
    game, draw = room.game(1.0), np.random.default_rng(0)
    payments = draw.uniform(0.0, 2.0, (players, game.num_states))
    env = EscapeRoomEnv(players, levers, payments=payments)
    ended = 0
    for _ in range(60):
        positions, _ = env.reset(seed=0)
        for time in itertools.count(1):
            state = int(np.ravel_multi_index(positions, [3] * players))
            action = draw.integers(0, 3, players)
            joint = int(np.ravel_multi_index(action, [3] * players))
            positions, reward, over, truncated, info = env.step(action)
            paid = np.where(action == LEVER, payments[:, state], 0.0)
            np.testing.assert_array_equal(info["payments"], paid)
            np.testing.assert_array_equal(
                info["player_rewards"], game.reward[:, state, joint] + paid
            )
            assert reward == game.leader_reward[state, joint]
            assert over == (game.transition[state, joint].sum() == 0.0)
            after = int(np.ravel_multi_index(positions, [3] * players))
            assert after == joint
            assert truncated == (not over and time == 5)
            if over or truncated:
                ended += over
                break
    assert 0 < ended < 60


@pytest.mark.parametrize("options", [{}, {"players": 3, "levers_needed": 2}])
def test_passes_the_checkers_of_gymnasium_and_pettingzoo(options):
    environment = gymnasium.make("bilevelrl/EscapeRoom-v0", render_mode="ansi", **options)
    check_env(environment.unwrapped)
    parallel_api_test(parallel_env(**options), num_cycles=50)


def test_agents_are_paid_and_told_what_they_get_without():
    payments = np.zeros((2, 9))
    payments[0, EscapeRoom(2, 1).initial_state] = 1.5
    env = parallel_env(payments=payments)
    env.reset()
    _, rewards, over, _, infos = env.step({"player_0": LEVER, "player_1": DOOR})
    assert rewards == {"player_0": 0.5, "player_1": 10.0}
    assert {agent: info["without_payment"] for agent, info in infos.items()} == {
        "player_0": -1.0,
        "player_1": 10.0,
    }
    assert over == {"player_0": True, "player_1": True}
    assert env.agents == []


def test_renders_where_the_players_are():
    env = EscapeRoomEnv(render_mode="ansi")
    env.reset()
    assert env.render() == "lever | start 01 | door\n"
    env.step(np.array([LEVER, DOOR]))
    assert env.render() == "lever 0 | start | door 1 opened\n"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: EscapeRoom(1, 1), "players = 1: at least 2"),
        (lambda: EscapeRoom(2, 2), "levers_needed = 2: allowed is 1 to players - 1 = 1"),
        (lambda: EscapeRoom(13, 1), "players = 13: allowed are 2 to 12"),
        (lambda: EscapeRoom(6, 1).game(1.0), "players = 6: .* allowed are 2 to 5 players"),
        (lambda: EscapeRoomEnv(10**9), "players = 1000000000: allowed are 2 to 12"),
        (lambda: parallel_env(players=10**9), "players = 1000000000: allowed are 2 to 12"),
        (lambda: EscapeRoomEnv(render_mode="human"), "render_mode must be one of"),
        (lambda: EscapeRoomEnv(payments=np.zeros((2, 3))), r"payments has shape \(2, 3\)"),
    ],
)
def test_impossible_rooms_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        function()


def test_as_many_players_as_there_may_be():
    assert EscapeRoom(5, 1).game(1.0).num_states == 3**5
    env = EscapeRoomEnv(12, 1)
    positions, _ = env.reset()
    assert positions.tolist() == [START] * 12
    moves = np.array([LEVER] + [START] * 10 + [DOOR])
    positions, reward, over, _, _ = env.step(moves)
    assert (positions.tolist(), reward, over) == (moves.tolist(), 9.0, True)


def test_steps_outside_an_episode_or_its_actions_are_refused():
    env = EscapeRoomEnv()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.array([LEVER, DOOR]))
    env.reset()
    with pytest.raises(ValueError, match="action must be in"):
        env.step(np.array([LEVER, 3]))
