from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bilevelrl.core.follower import NotConverged
from bilevelrl.models.tabular.model import tabular_model
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration, soft_bellman
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PUBLISHED = FourRooms(slip_kernels="published")
TEMPERATURES = np.array([0.001, 0.003, 0.005])
START, GOAL = 31, 7


def solver(
    tolerance: float = 1e-12, max_iterations: int = 60, runs: int = 3
) -> SoftPolicyIteration:
    return SoftPolicyIteration(
        PUBLISHED.planner, np.resize(TEMPERATURES, runs), tolerance, max_iterations
    )


class SpecVector(NamedTuple):
    """Golden values, computed by other code; one row per temperature."""

    theta: Floats
    value_at_start: list[float]
    policy_at_start: dict[int, list[float]]


ZERO = SpecVector(
    np.zeros(105),
    [0.704837, 0.720763, 0.759828],
    {
        0: [0.011002, 0.988019, 0.000023, 0.000956],
        1: [0.160702, 0.712451, 0.037049, 0.089799],
        2: [0.238301, 0.430971, 0.138886, 0.191842],
    },
)
SINE = SpecVector(
    np.sin(np.arange(105)),
    [0.707138, 0.723085, 0.762434],
    {1: [0.132907, 0.699072, 0.059530, 0.108492]},
)


@pytest.mark.parametrize("vector", [ZERO, SINE], ids=["zero", "sine"])
def test_reproduces_the_reference_vectors(vector: SpecVector) -> None:
    reward = PUBLISHED.follower_reward(np.tile(vector.theta, (3, 1)))
    response = solver().respond(reward, np.zeros((3, 104)))
    np.testing.assert_allclose(response.value[:, START], vector.value_at_start, atol=1e-6)
    for run, expected in vector.policy_at_start.items():
        np.testing.assert_allclose(response.policy[run, START], expected, atol=1e-6)


def test_reproduces_the_reference_tables_at_zero() -> None:
    reward = PUBLISHED.follower_reward(np.zeros((3, 105)))
    response = solver().respond(reward, np.zeros((3, 104)))
    # The reference's Q holds the entropy of the current state: Q(g, a) = 1 + β log 4 = V(g).
    np.testing.assert_allclose(response.value[:, GOAL], [1.001386, 1.004159, 1.006931], atol=1e-6)
    np.testing.assert_allclose(response.policy[:, GOAL], 0.25, rtol=1e-14)
    entropy = -(response.policy * np.log(response.policy + 1e-300)).sum(2)
    np.testing.assert_allclose(entropy.mean(1), [0.152623, 0.580517, 0.996082], atol=1e-6)
    model = PUBLISHED.planner
    q = reward[:, START] + 0.99 * np.einsum("at,rt->ra", model.transition[START], response.value)
    np.testing.assert_allclose(
        q + TEMPERATURES[:, None] * entropy[:, START, None],
        [
            [0.700396, 0.704894, 0.694210, 0.697953],
            [0.717900, 0.722367, 0.713498, 0.716154],
            [0.759134, 0.762097, 0.756435, 0.758050],
        ],
        atol=1e-6,
    )


def test_agrees_with_the_released_sweeps_where_they_converge(theta: Floats) -> None:
    # 100 x 5 sweeps of modified policy iteration from Q = 0, written out a second time.
    policy = solver().respond(PUBLISHED.follower_reward(theta), np.zeros((3, 104))).policy
    transition, going_on = PUBLISHED.planner.transition, np.arange(104) != GOAL
    for run in (0, 1):  # converged to machine precision for β ≤ .003
        beta, reward = TEMPERATURES[run], PUBLISHED.follower_reward(theta)[run]
        q = np.zeros((104, 4))
        for _ in range(100):
            soft = np.exp((q - q.max(1, keepdims=True)) / beta)
            soft /= soft.sum(1, keepdims=True)
            entropy = -(soft * np.log(soft + 1e-32)).sum(1, keepdims=True)
            for _ in range(5):
                after = 0.99 * transition @ (soft * q).sum(1)
                q = reward + beta * entropy + going_on[:, None] * after
        soft = np.exp((q - q.max(1, keepdims=True)) / beta)
        np.testing.assert_allclose(policy[run], soft / soft.sum(1, keepdims=True), atol=1e-8)


def test_one_state_has_the_closed_form() -> None:
    # v = β log Σ exp(r / β) + γ v, so v = β log Σ exp(r / β) / (1 - γ).
    model = tabular_model(np.zeros((1, 1)), np.ones((1, 2, 1)), np.array([0.5]), np.ones(1))  # type: ignore[arg-type]
    follower = SoftPolicyIteration(model, np.array([2.0]), 1e-12, 20)
    response = follower.respond(np.array([[[0.0, 2.0 * np.log(3.0)]]]), np.zeros((1, 1)))
    assert response.value[0, 0] == pytest.approx(2.0 * np.log(4.0) / 0.5, abs=1e-11)
    np.testing.assert_allclose(response.policy[0, 0], [0.25, 0.75], atol=1e-11)


@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-5, 1e-9])
def test_reported_accuracy_bounds_the_true_error(tolerance: float, theta: Floats) -> None:
    reward = PUBLISHED.follower_reward(theta)
    reference = solver(1e-13).respond(reward, np.zeros((3, 104))).value
    response = solver(tolerance).respond(reward, np.zeros((3, 104)))
    error = np.abs(response.value - reference).max(axis=1)
    assert (error <= response.accuracy + 1e-13).all()
    assert (response.accuracy <= tolerance).all()
    if tolerance == 1.0:  # the bound is about something: these are not yet converged
        assert (error > 1e-9).any()


def test_a_missed_tolerance_raises_with_the_numbers() -> None:
    reward = PUBLISHED.follower_reward(np.zeros((3, 105)))
    expected = r"run \d .* [1-9]\.\d\de[+-]\d+ \(tolerance 1\.00e-10\) after 2 .*iterations"
    with pytest.raises(NotConverged, match=expected):
        solver(1e-10, max_iterations=2).respond(reward, np.zeros((3, 104)))


def test_rewards_that_are_not_numbers_raise() -> None:
    reward = PUBLISHED.follower_reward(np.zeros((3, 105)))
    reward[1, 50, 2] = np.nan
    with pytest.raises(NotConverged, match="run 1"):
        solver(1e-10).respond(reward, np.zeros((3, 104)))


def test_a_warm_start_changes_the_work_and_not_the_answer(theta: Floats) -> None:
    tolerance = 1e-10
    follower = solver(tolerance)
    memory = np.zeros((3, 104))
    follower.respond(PUBLISHED.follower_reward(theta), memory)
    nearby = PUBLISHED.follower_reward(theta + 0.01 * np.sin(np.arange(105)))
    warm = follower.respond(nearby, memory)
    cold = follower.respond(nearby, np.zeros((3, 104)))
    np.testing.assert_allclose(warm.value, cold.value, rtol=0.0, atol=2.0 * tolerance)
    assert (warm.iterations < cold.iterations).all()
    assert (follower.respond(nearby, memory).iterations == 0).all()


def test_starts_far_away_reach_the_same_answer(theta: Floats) -> None:
    reward = PUBLISHED.follower_reward(theta)
    far = 10.0 * np.random.default_rng(0).standard_normal((3, 104))
    values = [solver().respond(reward, start).value for start in (far, np.zeros((3, 104)))]
    np.testing.assert_allclose(*values, rtol=0.0, atol=2e-12)


def test_runs_do_not_influence_each_other(theta: Floats) -> None:
    reward = PUBLISHED.follower_reward(np.resize(theta, (40, 105)))
    together = solver(runs=40).respond(reward, np.zeros((40, 104)))
    for run in (1, 38):
        follower = SoftPolicyIteration(
            PUBLISHED.planner, np.resize(TEMPERATURES, 40)[run : run + 1], 1e-12, 60
        )
        alone = follower.respond(reward[run : run + 1], np.zeros((1, 104)))
        np.testing.assert_array_equal(together.policy[run], alone.policy[0])
        assert together.iterations[run] == alone.iterations[0]


def apply_operator(reward: Floats, temperature: float, value: Floats) -> tuple[Floats, Floats]:
    backup, policy = np.empty(104), np.empty((104, 4))
    soft_bellman(PUBLISHED.planner, reward, temperature, value, policy, backup)
    return backup, policy


@given(seed=st.integers(0, 10_000), temperature=st.floats(1e-3, 5.0), spread=st.floats(0.01, 10.0))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_operator_is_a_contraction_and_equals_its_formula(
    seed: int, temperature: float, spread: float
) -> None:
    generator = np.random.default_rng(seed)
    reward = generator.standard_normal((104, 4))
    v, w = spread * generator.standard_normal((2, 104))
    (tv, policy), (tw, _) = (apply_operator(reward, temperature, x) for x in (v, w))
    assert np.abs(tv - tw).max() <= 0.99 * np.abs(v - w).max() + 1e-12
    model = PUBLISHED.planner
    q = reward + model.discount[:, None] * (model.transition @ v)
    np.testing.assert_allclose(
        tv, temperature * np.logaddexp.reduce(q / temperature, axis=1), rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(policy, np.exp((q - tv[:, None]) / temperature), atol=1e-9)
