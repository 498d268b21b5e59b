import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.models.tabular.model import TabularModel, evaluate_policy, tabular_model
from bilevelrl.problems.four_rooms.problem import MAP, FourRooms, SlipKernels

Floats = NDArray[np.float64]
UP, RIGHT, DOWN, LEFT = range(4)


def test_the_map_is_the_published_one() -> None:
    problem = FourRooms()
    assert (problem.num_states, problem.num_parameters) == (104, 105)
    per_row = [sum(row == r for row, _ in problem.cells) for r in range(13)]
    assert per_row == [0, 10, 10, 11, 10, 10, 6, 6, 10, 10, 11, 10, 0]
    index = {cell: s for s, cell in enumerate(problem.cells)}
    named = {(1, 9): 7, (4, 1): 31, (8, 4): 66, (3, 6): 25, (6, 2): 51, (7, 9): 62, (10, 6): 88}
    assert {cell: index[cell] for cell in named} == named
    assert (problem.goal, problem.start, problem.target) == (7, 31, 66)
    assert list(problem.cells) == sorted(problem.cells)


def test_moves_go_one_cell_and_stop_at_walls() -> None:
    problem = FourRooms()
    for s, (row, column) in enumerate(problem.cells):
        aims = [(row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)]
        for move, (r, c) in enumerate(aims):
            expected = (row, column) if MAP[r][c] == "x" else (r, c)
            assert problem.cells[problem.moves[s, move]] == expected


@pytest.mark.parametrize(("slip_kernels", "intended"), [("corrected", 0.67), ("published", 0.56)])
def test_planner_and_simulator_slip_as_specified(
    slip_kernels: SlipKernels, intended: float
) -> None:
    problem = FourRooms(slip_kernels=slip_kernels)
    index = {cell: s for s, cell in enumerate(problem.cells)}
    for model, p in ((problem.simulator, 0.67), (problem.planner, intended)):
        other = (1.0 - p) / 3.0
        table = model.transition
        np.testing.assert_allclose(table.sum(-1), 1.0, atol=1e-12)
        here = index[4, 1]  # the start has a wall to its left only
        right = {(4, 2): p, (3, 1): other, (5, 1): other, (4, 1): other}
        left = {(4, 2): other, (3, 1): other, (5, 1): other, (4, 1): p}
        for action, row in ((RIGHT, right), (LEFT, left)):
            assert {problem.cells[t] for t in np.flatnonzero(table[here, action])} == set(row)
            for cell, probability in row.items():
                assert table[here, action, index[cell]] == pytest.approx(probability, abs=1e-12)
        corner = index[1, 1]  # up and left both stay
        assert table[corner, UP, corner] == pytest.approx(p + other)
        assert table[corner, DOWN, corner] == pytest.approx(2.0 * other)


def test_only_the_goal_ends_episodes_and_only_the_start_begins_them(problem: FourRooms) -> None:
    for model in (problem.simulator, problem.planner):
        expected = np.full(104, 0.99)
        expected[7] = 0.0
        np.testing.assert_array_equal(model.discount, expected)
        np.testing.assert_array_equal(model.initial, np.eye(104)[31])


def test_corrected_kernels_share_one_model() -> None:
    problem = FourRooms()
    assert problem.planner is problem.simulator


def softmax(theta: Floats) -> Floats:
    weights = np.exp(theta)
    probabilities: Floats = weights / weights.sum(-1, keepdims=True)
    return probabilities


def test_rewards_are_the_formulas(theta: Floats) -> None:
    problem = FourRooms(incentive_scale=0.3, incentive_cost=4.0)
    p = softmax(theta)
    np.testing.assert_allclose(problem.incentive(theta), -0.3 * p[:, :104], rtol=1e-13)
    follower = np.repeat(-0.3 * p[:, :104, None], 4, axis=2)
    follower[:, 7] = 1.0
    np.testing.assert_allclose(problem.follower_reward(theta), follower, rtol=1e-13)
    leader = np.zeros((3, 104, 4))
    leader[:, 66] = 1.0
    leader[:, 7] = -4.0 * 0.3 * (1.0 - p[:, 104, None])
    np.testing.assert_allclose(problem.leader_reward(theta), leader, rtol=1e-13)


def test_the_price_includes_the_unpaid_entry_of_the_goal() -> None:
    problem = FourRooms()
    zero = np.zeros((1, 105))
    assert np.abs(problem.incentive(zero)).sum() == pytest.approx(0.1980952, abs=5e-8)
    assert problem.leader_reward(zero)[0, 7, 0] == pytest.approx(-0.9904762, abs=5e-8)
    on_goal = np.zeros((1, 105))
    on_goal[0, 7] = 50.0
    assert problem.leader_reward(on_goal)[0, 7, 0] == pytest.approx(-1.0)
    assert problem.follower_reward(on_goal)[0, 7, 0] == 1.0


def test_rewards_survive_extreme_parameters() -> None:
    problem = FourRooms()
    extreme = np.zeros((2, 105))
    extreme[0, 66], extreme[1, 104] = 5000.0, 5000.0
    reward = problem.follower_reward(extreme)
    assert np.isfinite(reward).all()
    assert reward[0, 66, 0] == -0.2
    assert problem.leader_reward(extreme)[1, 7, 0] == 0.0


def test_pull_backs_match_central_differences(theta: Floats) -> None:
    problem = FourRooms()
    weights = np.random.default_rng(4).standard_normal((3, 104, 4))
    step = 1e-5
    for table, pull_back in (
        (problem.follower_reward, problem.pull_back_follower_reward),
        (problem.leader_reward, problem.pull_back_leader_reward),
    ):
        numeric = np.stack(
            [
                ((table(theta + step * e) - table(theta - step * e)) * weights).sum((1, 2))
                for e in np.eye(105)
            ],
            axis=1,
        ) / (2.0 * step)
        scale = np.abs(numeric).max()
        np.testing.assert_allclose(pull_back(theta, weights), numeric, rtol=1e-6, atol=1e-8 * scale)


def tables() -> dict[str, NDArray[np.generic]]:
    return {
        "successor": np.array([[0, 1], [1, 0]]),
        "probability": np.full((2, 3, 2), 0.5),
        "discount": np.array([0.9, 0.0]),
        "initial": np.array([1.0, 0.0]),
    }


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("probability", np.full((2, 3, 3), 1 / 3), r"\(2, 3, 2\).*\(2, 3, 3\)"),
        ("probability", np.full((2, 3, 2), 0.4), "sum to one"),
        ("probability", np.broadcast_to([1.5, -0.5], (2, 3, 2)), "non-negative"),
        ("discount", np.array([0.9, 1.0]), r"\[0, 1\).*1\.0"),
        ("discount", np.array([0.9, -0.1]), r"\[0, 1\).*-0\.1"),
        ("discount", np.array([0.9]), r"\(2,\)"),
        ("initial", np.array([0.7, 0.7]), "sum to one"),
        ("initial", np.array([1.5, -0.5]), "non-negative"),
        ("initial", np.array([1.0, 0.0, 0.0]), r"\(2,\)"),
    ],
)
def test_impossible_tables_are_refused(
    name: str, value: NDArray[np.generic], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        tabular_model(**{**tables(), name: value})  # type: ignore[arg-type]


def test_possible_tables_are_accepted_and_evaluated() -> None:
    model = tabular_model(**tables())  # type: ignore[arg-type]
    assert isinstance(model, TabularModel)
    assert (model.num_states, model.num_actions) == (2, 3)
    # v(1) = r(1) and v(0) = r(0) + .9 (v(0) + v(1)) / 2.
    reward = np.repeat(np.array([1.0, 2.0])[None, :, None], 3, axis=2)
    value = evaluate_policy(model, np.full((1, 2, 3), 1 / 3), reward)
    np.testing.assert_allclose(value[0], [1.9 / 0.55, 2.0], rtol=1e-14)
