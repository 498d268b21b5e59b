import numpy as np
import pandas as pd
import pytest

from bilevelrl.problems.four_rooms.outcomes import MAP_COLUMNS, greedy_path, penalty_maps
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsParams
from bilevelrl.runs.records import CURVE_COLUMNS, Cell
from tests.follower_params import FOLLOWERS
from tests.settings import identity

MAIN = "env_steps_per_update=100;follower=exact;information=full;temperature=0.003"
CONSTANTS = FourRoomsParams(
    discount=0.99,
    fail_probability=0.33,
    incentive_scale=0.2,
    incentive_cost=5.0,
    max_episode_steps=200,
)


def cell_of(
    theta: np.ndarray, *seeds: int, setting: str = MAIN, variant: str = "published"
) -> Cell:
    runs = tuple(identity("four_rooms", "bc_hg", variant, setting, s, "key") for s in seeds)
    return Cell(runs, theta, pd.DataFrame(columns=list(CURVE_COLUMNS)))


def test_path_takes_the_likeliest_action_that_moves() -> None:
    moves = np.array([[0, 1], [0, 2], [2, 2]], dtype=np.int32)
    policy = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    assert greedy_path(policy, moves, start=0, goal=2) == [0, 1, 2]


def test_path_of_a_lured_follower_ends_after_its_steps() -> None:
    moves = np.array([[1], [0], [2]], dtype=np.int32)
    path = greedy_path(np.ones((3, 1)), moves, start=0, goal=2, max_steps=30)
    assert path == [0, 1] * 15 + [0]


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_unbiased_penalties_leave_the_shortest_way(variant: str) -> None:
    problem = FourRooms()
    table = penalty_maps(cell_of(np.zeros((1, 105)), 0, variant=variant), CONSTANTS, FOLLOWERS)
    assert list(table.columns) == list(MAP_COLUMNS)
    cells = table[table["kind"] == "cell"]
    assert np.allclose(cells["value"], -0.2 / 105)
    assert [*zip(cells["row"], cells["column"], strict=True)] == list(problem.cells)
    path = table[table["kind"] == "path"]
    assert tuple(path[["row", "column"]].iloc[0]) == problem.cells[problem.start]
    assert tuple(path[["row", "column"]].iloc[-1]) == problem.cells[problem.goal]
    assert len(path) == 12  # |4 - 1| + |1 - 9| moves and the start
    assert table.loc[table["kind"] == "kept", "value"].item() == pytest.approx(1 / 105)


def test_a_dear_top_corridor_sends_the_follower_past_the_target() -> None:
    problem = FourRooms()
    theta = np.zeros((1, 105))
    theta[0, problem.cells.index((3, 6))] = 20.0
    path = penalty_maps(cell_of(theta, 0), CONSTANTS, FOLLOWERS).query("kind == 'path'")
    visited = set(zip(path["row"], path["column"], strict=True))
    assert (10, 6) in visited
    assert (3, 6) not in visited


def test_only_the_first_seed_of_main_settings_is_mapped() -> None:
    theta = np.stack([np.zeros(105), np.eye(105)[3]])
    table = penalty_maps(cell_of(theta, 7, 2), CONSTANTS, FOLLOWERS)
    assert set(table["seed"]) == {2}
    assert table.loc[table["kind"] == "cell", "value"].nunique() == 2  # θ of seed 2, not of seed 7
    other = cell_of(theta, 7, 2, setting=MAIN + ";initial_spread=3.0")
    assert penalty_maps(other, CONSTANTS, FOLLOWERS).empty
