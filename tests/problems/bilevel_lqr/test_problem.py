import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.problem import PUBLISHED, BilevelLQR, matrix_vector
from tests.games import big_lqr

Floats = NDArray[np.float64]


def test_the_published_game_has_the_paper_s_constants() -> None:
    problem = BilevelLQR.published()
    state, leader, follower = np.array([0.3, -0.7]), np.array([2.0]), np.array([-1.5])
    # x1' = x2 + .1 a, x2' = .1 u
    np.testing.assert_allclose(
        problem.transition(state, leader, follower), [-0.5, -0.15], rtol=1e-15
    )
    assert problem.follower_reward(state, follower) == pytest.approx(-(0.09 + 0.49 + 2.25))
    assert problem.leader_reward(np.array([-0.8, 0.0])) == 1.0
    # One σ off in each coordinate.
    assert problem.leader_reward(np.array([-1.0, 0.01])) == pytest.approx(np.exp(-1.0))
    assert problem.leader_reward(problem.initial_state) == pytest.approx(np.exp(-40.5))
    assert (problem.max_episode_steps, problem.num_parameters) == (100, 2)
    discounts = (problem.leader_discount, problem.follower_discount, problem.leader_noise)
    assert discounts == (0.99, 0.95, 1e-3)


def test_the_game_is_linear_quadratic_in_any_dimension() -> None:
    problem, rng = big_lqr(), np.random.default_rng(0)
    x, a, u = rng.standard_normal(4), rng.standard_normal(3), rng.standard_normal(2)
    after = problem.state_matrix @ x + problem.leader_matrix @ a + problem.follower_matrix @ u
    np.testing.assert_allclose(problem.transition(x, a, u), after, rtol=1e-13)
    cost = x @ problem.state_cost @ x + u @ problem.control_cost @ u
    assert problem.follower_reward(x, u) == pytest.approx(-cost, rel=1e-13)
    distance = sum(((x - problem.target) / problem.target_scale) ** 2)
    assert problem.leader_reward(x) == pytest.approx(2.0 * np.exp(-0.5 * distance), rel=1e-13)


@pytest.mark.parametrize("problem", [BilevelLQR.published(), big_lqr()], ids=["2", "4"])
def test_leading_axes_broadcast_and_change_no_bit(problem: BilevelLQR) -> None:
    rng = np.random.default_rng(1)
    n, m = problem.follower_matrix.shape
    x = rng.standard_normal((20, 3, 7, n))
    a = rng.standard_normal((20, 3, 7, problem.leader_matrix.shape[1]))
    u = rng.standard_normal((20, 3, 7, m))
    together = (
        problem.transition(x, a, u),
        problem.follower_reward(x, u),
        problem.leader_reward(x),
    )
    assert [part.shape for part in together] == [(20, 3, 7, n), (20, 3, 7), (20, 3, 7)]
    at = (13, 2, 5)
    np.testing.assert_array_equal(problem.transition(x[at], a[at], u[at]), together[0][at])
    assert problem.follower_reward(x[at], u[at]) == together[1][at]
    assert problem.leader_reward(x[at]) == together[2][at]
    # One follower action for all states.
    np.testing.assert_array_equal(
        problem.transition(x, a, u[0, 0, 0])[at], problem.transition(x[at], a[at], u[0, 0, 0])
    )


def test_matrix_vector_is_the_matrix_product() -> None:
    rng = np.random.default_rng(2)
    matrices, vectors = rng.standard_normal((6, 3, 4)), rng.standard_normal((6, 4))
    expected = np.stack([m @ v for m, v in zip(matrices, vectors, strict=True)])
    np.testing.assert_allclose(matrix_vector(matrices, vectors), expected, rtol=1e-12)


def test_theta_is_the_gain_row_by_row() -> None:
    problem = big_lqr()
    theta = np.arange(24.0).reshape(2, 12)
    assert problem.num_parameters == 12
    np.testing.assert_array_equal(problem.gain(theta)[1], theta[1].reshape(3, 4))
    np.testing.assert_array_equal(problem.gain(theta)[0, 1], [4.0, 5.0, 6.0, 7.0])
    with pytest.raises(ValueError, match=r"\(R, 12\)"):
        problem.gain(theta[0])
    with pytest.raises(ValueError, match=r"\(R, 2\).*\(2, 12\)"):
        BilevelLQR.published().gain(theta)


def test_each_run_starts_with_its_own_spread() -> None:
    start = BilevelLQR.published().initial_parameters(np.ones((2, 2)), np.array([1.0, 3.0]))
    np.testing.assert_array_equal(start, [[1.0, 1.0], [3.0, 3.0]])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"state_matrix": ((0.0, 1.0), (0.0,))}, "state_matrix must be rows of numbers"),
        ({"state_matrix": (0.0, 1.0)}, "state_matrix must be rows of numbers"),
        ({"target": ()}, "target must be a row of numbers"),
        ({"target": ("left", 0.0)}, "target must be a row of numbers.*left"),
        ({"state_matrix": ((0.0, 1.0),)}, r"state_matrix must be finite, of shape \(2, 2\)"),
        ({"follower_matrix": ((0.1,),)}, r"follower_matrix must be finite, of shape \(2, 1\)"),
        ({"control_cost": ((1.0, 0.0), (0.0, 1.0))}, r"control_cost .* shape \(1, 1\)"),
        ({"initial_state": (1.0, 0.0, 0.0)}, r"initial_state .* shape \(2,\)"),
        ({"initial_state": (1.0, np.nan)}, "initial_state must be finite"),
        ({"state_cost": ((1.0, 0.5), (0.0, 1.0))}, "state_cost must be symmetric"),
        ({"state_cost": ((1.0, 0.0), (0.0, 0.0))}, "state_cost must be .*positive definite"),
        ({"control_cost": ((-1.0,),)}, "control_cost must be .*positive definite"),
        ({"target_scale": (0.2, 0.0)}, "target_scale must be positive"),
        ({"leader_reward_scale": 0.0}, "leader_reward_scale must be positive"),
        ({"leader_noise": np.inf}, "leader_noise must be positive"),
        ({"leader_discount": 1.01}, r"leader_discount must lie in \(0, 1\]"),
        ({"follower_discount": 1.0}, r"follower_discount must lie in \(0, 1\)"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BilevelLQR.published(**changes)


def test_unknown_and_missing_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="friction"):
        BilevelLQR.published(friction=0.1)
    with pytest.raises(TypeError, match="leader_noise"):
        BilevelLQR.from_numbers(**{k: v for k, v in PUBLISHED.items() if k != "leader_noise"})
