import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.thermal_control.problem import PUBLISHED as NUMBERS
from bilevelrl.problems.thermal_control.problem import ThermalControl
from tests.buildings import (
    ACTION,
    ALL,
    LARGE,
    LEVELS_X,
    MEAN,
    NAMES,
    PUBLISHED,
    STATE,
    SURPRISE,
    THETA_H,
    THETA_X,
    designs,
    literal_dynamics,
)

Floats = NDArray[np.float64]
EVERY = pytest.mark.parametrize("problem", ALL, ids=NAMES)
STEP = 1e-5


def ends(theta: Floats) -> tuple[Floats, Floats]:
    """θ moved up and down by `STEP`, one parameter at a time, each (D, D)."""
    steps = STEP * np.eye(len(theta))
    return theta + steps, theta - steps


def test_the_published_building_has_the_paper_s_constants() -> None:
    problem = PUBLISHED
    assert (problem.num_zones, problem.num_parameters, problem.input_matrix.shape[1]) == (4, 8, 2)
    assert (problem.discount, problem.max_episode_steps, problem.noise) == (0.9, 100, 0.02)
    assert (problem.state_limit, problem.initial_deviation) == (30.0, 5.0)
    np.testing.assert_array_equal(np.diag(problem.state_cost), [8.0, 1.0, 5.0, 6.0])


def test_reproduces_the_spec_s_dynamics() -> None:
    at_h = [
        [0.97, 0.025, 0.0, 0.025],
        [0.015, 0.98, 0.02, 0.0],
        [0.0, 0.02, 0.98, 0.03],
        [0.025, 0.0, 0.015, 0.985],
    ]
    at_x = [
        [0.982, 0.045, 0.0, 0.005],
        [0.027, 0.963, 0.028, 0.0],
        [0.0, 0.028, 0.978, 0.018],
        [0.005, 0.0, 0.009, 0.996],
    ]
    found = PUBLISHED.dynamics(np.stack([THETA_H, THETA_X]))
    np.testing.assert_allclose(found, [at_h, at_x], rtol=1e-13, atol=1e-16)


def test_reproduces_the_spec_s_transition() -> None:
    theta = THETA_X[None]
    mean = PUBLISHED.dynamics(theta)[0] @ STATE + PUBLISHED.input_matrix @ ACTION
    np.testing.assert_allclose(mean, MEAN, rtol=1e-13)
    assert PUBLISHED.follower_reward(STATE, ACTION) == pytest.approx(-153.0125)
    assert PUBLISHED.operating_reward(STATE, ACTION) == pytest.approx(-7.25 - 0.5 * 1.25)
    leader = PUBLISHED.operating_reward(STATE, ACTION) - PUBLISHED.design.configuration_cost(theta)
    assert leader == pytest.approx(-8.135)
    score = PUBLISHED.design.pushed(theta, STATE[None, None], SURPRISE[None, None] / 4e-4)
    expected = [-0.16, -0.72, -3.24, 0.4, -0.7425, -5.25, -6.06375, -0.28125]
    np.testing.assert_allclose(score[0, 0], expected, rtol=1e-12)


def test_levels_are_logistic_and_never_overflow() -> None:
    theta = np.stack([THETA_X, np.resize([-800.0, 800.0, -np.inf, np.inf], 8)])
    insulation, airflow = PUBLISHED.design.levels(theta)
    np.testing.assert_allclose(np.concatenate([insulation[0], airflow[0]]), LEVELS_X, rtol=1e-14)
    np.testing.assert_array_equal([insulation[1], airflow[1]], [[0.0, 1.0, 0.0, 1.0]] * 2)
    for shape in ((8,), (1, 7), (1, 8, 1)):
        with pytest.raises(ValueError, match=r"theta must be of shape \(R, 8\), got"):
            PUBLISHED.design.levels(np.zeros(shape))


@EVERY
def test_dynamics_are_those_of_the_ring(problem: ThermalControl) -> None:
    theta = designs(problem, 3)
    found = problem.dynamics(theta)
    for run in range(3):
        expected = literal_dynamics(problem, theta[run])
        np.testing.assert_allclose(found[run], expected, rtol=1e-13, atol=1e-16)
    # Airflow only moves heat about: what a uniform deviation becomes does not depend on it.
    kept = np.diag(problem.base_matrix)
    kept = kept + problem.insulation_effect * (1.0 - problem.design.levels(theta)[0])
    np.testing.assert_allclose(found.sum(axis=2), kept, rtol=1e-13)


@EVERY
def test_rewards_in_any_dimension(problem: ThermalControl) -> None:
    rng = np.random.default_rng(0)
    zones, units = problem.input_matrix.shape
    state, action = rng.standard_normal((2, 5, zones)), rng.standard_normal((2, 5, units))
    follower = problem.follower_reward(state, action)
    leader = problem.operating_reward(state, action)
    assert follower.shape == leader.shape == (2, 5)
    s, a = state[1, 3], action[1, 3]
    cost = s @ problem.state_cost @ s + a @ problem.control_cost @ a
    assert follower[1, 3] == pytest.approx(-cost, rel=1e-13)
    cost = problem.stability_weight * np.mean((s - s.mean()) ** 2) + problem.energy_weight * a @ a
    assert leader[1, 3] == pytest.approx(-cost, rel=1e-13)
    level = 1.0 / (1.0 + np.exp(-designs(problem, 2)))
    expected = problem.insulation_weight * (level[:, :zones] ** 2).sum(axis=1)
    expected += problem.airflow_weight * (level[:, zones:] ** 2).sum(axis=1)
    np.testing.assert_allclose(problem.design.configuration_cost(designs(problem, 2)), expected)


@EVERY
def test_slopes_match_central_differences(problem: ThermalControl) -> None:
    theta = designs(problem, 3)
    slopes, cost = problem.dynamics_slopes(theta), problem.design.configuration_cost_slope(theta)
    size = problem.num_parameters
    assert slopes.shape == (3, size, problem.num_zones, problem.num_zones)
    for run in range(3):
        ahead, behind = ends(theta[run])
        numeric = (problem.dynamics(ahead) - problem.dynamics(behind)) / (2.0 * STEP)
        np.testing.assert_allclose(slopes[run], numeric, rtol=1e-8, atol=1e-10)
        costs = problem.design.configuration_cost(ahead) - problem.design.configuration_cost(behind)
        np.testing.assert_allclose(cost[run], costs / (2.0 * STEP), rtol=1e-8, atol=1e-10)
    assert np.abs(cost).min() > 1e-6


@EVERY
def test_pushed_is_the_slope_of_a_pushed_transition(problem: ThermalControl) -> None:
    theta, rng = designs(problem, 2), np.random.default_rng(2)
    state, push = rng.standard_normal((2, 2, 6, problem.num_zones))
    found = problem.design.pushed(theta, state, push)
    assert found.shape == (2, 6, problem.num_parameters)
    for run in range(2):
        ahead, behind = (
            np.einsum("ni,kij,nj->nk", push[run], problem.dynamics(end), state[run])
            for end in ends(theta[run])
        )
        np.testing.assert_allclose(found[run], (ahead - behind) / (2.0 * STEP), atol=1e-9)


@EVERY
def test_a_transition_pushes_along_the_outer_product_of_push_and_state(
    problem: ThermalControl,
) -> None:
    theta, rng = designs(problem, 3), np.random.default_rng(3)
    state, push = rng.standard_normal((2, 3, problem.num_zones))
    found = problem.design.pushed(theta, state[:, None], push[:, None])[:, 0]
    expected = np.einsum("rdij,ri,rj->rd", problem.dynamics_slopes(theta), push, state)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


def test_bits_depend_on_neither_the_batch_nor_the_threads() -> None:
    theta, rng = designs(LARGE, 7), np.random.default_rng(4)
    state, push = rng.standard_normal((2, 7, 50, 5))

    def everything(part: slice) -> list[Floats]:
        here = theta[part]
        return [
            LARGE.dynamics(here),
            LARGE.dynamics_slopes(here),
            LARGE.design.configuration_cost(here),
            LARGE.design.configuration_cost_slope(here),
            LARGE.design.pushed(here, state[part], push[part]),
            LARGE.follower_reward(state[part], push[part, :, :3]),
            LARGE.operating_reward(state[part], push[part, :, :3]),
        ]

    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    together = everything(slice(None))
    numba.set_num_threads(1)
    for run in range(7):
        for alone, all_runs in zip(everything(slice(run, run + 1)), together, strict=True):
            np.testing.assert_array_equal(alone[0], all_runs[run])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"base_matrix": ((1.0, 0.0), (0.0,))},
            "base_matrix must be numbers, rows all of one length",
        ),
        ({"input_matrix": np.ones((5, 2))}, r"base_matrix must be finite, of shape \(5, 5\)"),
        ({"insulation_effect": (0.1, 0.2)}, r"insulation_effect .* shape \(4,\), got \[0.1, 0.2\]"),
        ({"insulation_effect": (0.1, 0.2, np.nan, 0.3)}, "insulation_effect must be finite"),
        ({"state_cost": np.eye(3)}, r"state_cost must be finite, of shape \(4, 4\)"),
        ({"control_cost": ((1.0,),)}, r"control_cost must be finite, of shape \(2, 2\)"),
        ({"base_matrix": np.ones((4, 4))}, "only neighbours in the ring may exchange heat"),
        ({"state_cost": np.diag([1.0, 1.0, 0.0, 1.0])}, "state_cost must be .*positive definite"),
        ({"state_cost": np.eye(4) + np.eye(4, k=1) / 9}, "state_cost must be symmetric"),
        ({"control_cost": -np.eye(2)}, "control_cost must be .*positive definite"),
        ({"noise": 0.0}, "noise must be positive and finite, got 0.0"),
        ({"state_limit": np.inf}, "state_limit must be positive and finite, got inf"),
        ({"initial_deviation": -1.0}, "initial_deviation must be positive"),
        ({"stability_weight": -0.1}, "stability_weight must be finite, not negative, got -0.1"),
        ({"energy_weight": np.nan}, "energy_weight must be finite"),
        ({"insulation_weight": np.inf}, "insulation_weight must be finite"),
        ({"airflow_weight": -1.0}, "airflow_weight must be finite, not negative"),
        ({"discount": 1.0}, r"discount must lie in \(0, 1\), got 1.0"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1, got 0"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ThermalControl.published(**changes)


def test_two_zones_are_no_ring() -> None:
    eye = np.eye(2)
    small = {"base_matrix": eye, "input_matrix": eye, "insulation_effect": (0.1, 0.1)}
    with pytest.raises(ValueError, match="a ring needs at least 3 zones, got 2"):
        ThermalControl.published(**small, state_cost=eye)


def test_unknown_and_missing_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="friction"):
        ThermalControl.published(friction=0.1)
    with pytest.raises(TypeError, match="discount"):
        ThermalControl.from_numbers(**{k: v for k, v in NUMBERS.items() if k != "discount"})
