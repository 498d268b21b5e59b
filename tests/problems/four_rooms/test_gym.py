import pickle
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.problems.four_rooms.gym import FourRoomsEnv
from bilevelrl.problems.four_rooms.problem import MAP, FourRooms

Floats = NDArray[np.float64]
UP, RIGHT, DOWN, LEFT = (np.int64(a) for a in range(4))
CORRIDOR = (3, 6)


def make(**options: object) -> FourRoomsEnv:
    env = gymnasium.make("bilevelrl/FourRooms-v0", **options).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, FourRoomsEnv)
    return env


def walk(
    env: FourRoomsEnv, num_steps: int, choose: Callable[[int], int]
) -> list[tuple[object, ...]]:
    """(here, action, *step results) of each step, with resets where an episode ends."""
    here, _ = env.reset()
    steps = list[tuple[object, ...]]()
    for t in range(num_steps):
        action = np.int64(choose(t))
        after, *rest = env.step(action)
        steps.append((here, action, after, *rest))
        here = env.reset()[0] if rest[1] or rest[2] else after
    return steps


def put_on(env: FourRoomsEnv, state: int) -> None:
    env.reset()
    env._state = state


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_honours_the_gymnasium_contract(render_mode: str | None) -> None:
    check_env(make(render_mode=render_mode))


def test_spaces_count_free_cells_and_moves() -> None:
    env = make()
    assert (env.observation_space.n, env.action_space.n) == (104, 4)  # type: ignore[attr-defined]


def test_moves_follow_the_transition_table(theta: Floats) -> None:
    # States with walls on one, two and no sides, the terminal one included.
    env = make(theta=theta[0])
    model: TabularModel = env.problem.simulator
    table = model.transition
    env.reset(seed=3)
    times = 4000
    for state in (env.problem.goal, env.problem.start, env.problem.target, 51, 0):
        for action in range(4):
            counts = np.zeros(104)
            for _ in range(times):
                env._state, env._running, env._time = state, True, 0
                counts[env.step(np.int64(action))[0]] += 1
            expected = table[state, action]
            assert not counts[expected == 0.0].any()
            # 5 standard errors: one of 60 comparisons fails with probability 4e-5. The published
            # planner (.56 instead of .67) is 15 standard errors away.
            error = np.sqrt(expected * (1.0 - expected) / times)
            assert (np.abs(counts / times - expected) <= 5.0 * error).all()


def test_rewards_are_those_of_the_cell_that_is_left(theta: Floats) -> None:
    problem = FourRooms()
    env = make(theta=theta[0])
    follower = problem.follower_reward(theta[:1])[0]
    leader = problem.leader_reward(theta[:1])[0]
    for state in range(104):
        put_on(env, state)
        after, reward, *_, info = env.step(DOWN)
        assert reward == follower[state, DOWN]
        assert info == {"leader_reward": leader[state, DOWN], "cell": problem.cells[after]}


def test_equal_seeds_repeat_and_other_seeds_differ() -> None:
    def observations(seed: int) -> list[object]:
        env = make()
        env.reset(seed=seed)
        return [step[2] for step in walk(env, 300, lambda t: t % 4)]

    assert observations(0) == observations(0)
    assert observations(0) != observations(1)


def test_step_200_truncates_and_returns_the_true_next_state() -> None:
    env = make()
    env.reset(seed=0)
    steps = walk(env, 401, lambda t: (3, 0)[t % 2])  # towards the corner away from the goal
    assert [t for t, step in enumerate(steps) if step[5]] == [199, 399]
    assert not any(step[4] for step in steps)
    # The state after the cut is a neighbour of the state before it, not the next episode's start.
    here, after = steps[199][0], steps[199][2]
    assert after in env.problem.moves[here]
    assert after != env.problem.start
    assert steps[200][0] == env.problem.start


def test_the_step_limit_is_an_option() -> None:
    for limit in (3, 250):
        env = FourRoomsEnv(max_episode_steps=limit)
        env.reset(seed=0)
        steps = walk(env, 2 * limit, lambda _: 3)
        assert [t for t, step in enumerate(steps) if step[5]] == [limit - 1, 2 * limit - 1]


def test_arriving_at_the_goal_ends_nothing_and_leaving_it_terminates() -> None:
    env = make()
    env.reset(seed=0)
    put_on(env, env.problem.goal - 1)
    reached = env.problem.goal
    for _ in range(100):
        env._state = reached - 1
        after, reward, terminated, truncated, _ = env.step(RIGHT)
        assert (terminated, truncated) == (False, False)
        assert reward < 0.0
        if after == reached:
            break
    assert after == reached
    after, reward, terminated, truncated, info = env.step(UP)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["leader_reward"] == pytest.approx(-5.0 * 0.2 * 104 / 105)
    assert after in env.problem.moves[reached]


def test_leaving_the_goal_on_the_last_step_is_a_termination() -> None:
    env = make()
    put_on(env, env.problem.goal)
    env._time = 199
    assert env.step(UP)[2:4] == (True, False)


def test_a_step_outside_an_episode_is_refused() -> None:
    env = make()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(UP)
    put_on(env, env.problem.goal)
    env.step(UP)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(UP)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"theta": np.zeros(104)}, "105 finite"),
        ({"theta": np.full(105, np.inf)}, "105 finite"),
        ({"render_mode": "human"}, "human"),
        ({"discount": 1.0}, r"discount must lie in \[0, 1\), got 1.0"),
        ({"fail_probability": -0.1}, r"fail_probability must lie in \[0, 0.75\), got -0.1"),
        ({"incentive_scale": 0.0}, "incentive_scale must be positive, got 0.0"),
        ({"incentive_cost": -1.0}, "incentive_cost must not be negative, got -1.0"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FourRoomsEnv(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [-1, 4])
def test_impossible_actions_are_refused(action: int) -> None:
    env = make()
    env.reset()
    with pytest.raises(ValueError, match=str(action)):
        env.step(np.int64(action))


def test_a_pickled_copy_continues_alike(theta: Floats) -> None:
    env = make(theta=theta[0])
    env.reset(seed=5)
    env.step(RIGHT)
    copy = pickle.loads(pickle.dumps(env))
    assert [env.step(RIGHT) for _ in range(20)] == [copy.step(RIGHT) for _ in range(20)]


def test_text_shows_the_map_the_agent_and_the_penalties(theta: Floats) -> None:
    env = make(theta=theta[0], render_mode="ansi")
    put_on(env, env.problem.cells.index(CORRIDOR))
    text = env.render()
    assert isinstance(text, str)
    marks = [line[::2] for line in text.splitlines()]
    expected = [line.replace("x", "#") for line in MAP]
    expected[3] = "#     @     #"
    assert marks == expected
    # The shade of the cells ranks like their penalties.
    penalty = -env.problem.incentive(theta[:1])[0]
    shades = {
        cell: " ·░▒▓".index(text.splitlines()[cell[0]][2 * cell[1] + 1])
        for cell in env.problem.cells
    }
    order = [s for s in np.argsort(penalty) if s != env.problem.goal]
    levels = [shades[env.problem.cells[s]] for s in order]
    assert levels == sorted(levels)
    assert len(set(levels)) > 2
    assert shades[env.problem.cells[env.problem.goal]] == 0


def image_of(theta: Floats, state: int) -> NDArray[np.uint8]:
    env = make(theta=theta, render_mode="rgb_array")
    put_on(env, state)
    image = env.render()
    assert isinstance(image, np.ndarray)
    return image


def tile(image: NDArray[np.uint8], cell: tuple[int, int]) -> NDArray[np.uint8]:
    size = image.shape[0] // 13
    row, column = cell
    return image[row * size : (row + 1) * size, column * size : (column + 1) * size]


def test_image_shows_walls_marks_and_agent() -> None:
    image = image_of(np.zeros(105), state=0)
    assert (image.shape, image.dtype) == ((312, 312, 3), np.uint8)
    cells = FourRooms().cells
    walls = [(r, c) for r in range(13) for c in range(13) if (r, c) not in cells]
    assert all((tile(image, cell) == tile(image, (0, 0))[0, 0]).all() for cell in walls)
    assert all((tile(image, cell)[1, 1] > 2 * tile(image, (0, 0))[1, 1]).all() for cell in cells)
    start, goal, target, plain = (tile(image, c) for c in ((4, 1), (1, 9), (8, 4), (9, 9)))
    ink = [(t == 0).all(axis=2).sum() for t in (start, goal, target, plain)]
    assert min(ink[:3]) > 20
    assert ink[3] == 0
    assert len({t[5:19, 5:19].tobytes() for t in (start, goal, target)}) == 3
    agent = tile(image, (1, 1))
    assert agent[12, 12, 2] > agent[12, 12, 0] + 100  # blue
    moved = image_of(np.zeros(105), state=1)
    assert (tile(moved, (1, 1)) == plain).all()
    assert (tile(moved, (1, 2)) == agent).all()


def test_image_darkens_with_the_penalty_except_on_the_goal() -> None:
    problem = FourRooms()
    base = image_of(np.zeros(105), state=0)
    theta = np.zeros(105)
    theta[[problem.goal, problem.cells.index(CORRIDOR)]] = 3.0
    image = image_of(theta, state=0)
    corner = (1, 1)
    assert tile(image, CORRIDOR)[corner].sum() < tile(base, CORRIDOR)[corner].sum() - 50
    assert (tile(image, (1, 9)) == tile(base, (1, 9))).all()


def test_rendering_without_a_mode_warns() -> None:
    env = make()
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
