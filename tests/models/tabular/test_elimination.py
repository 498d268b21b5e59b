import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bilevelrl.models.tabular.elimination import (
    factorise,
    solve,
)
from bilevelrl.models.tabular.model import TabularModel, evaluate_policy, tabular_model
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]


def random_model(
    generator: np.random.Generator, num_states: int, num_successors: int
) -> TabularModel:
    """A random graph: repeated successors, self-loops, unreachable and terminal states included."""
    discount = generator.uniform(0.0, 0.999, num_states)
    discount[generator.random(num_states) < 0.2] = 0.0
    return tabular_model(
        generator.integers(num_states, size=(num_states, num_successors)),
        generator.dirichlet(np.ones(num_successors), size=(num_states, 3)),
        discount,
        generator.dirichlet(np.ones(num_states)),
    )


def random_policy(generator: np.random.Generator, model: TabularModel) -> Floats:
    # Concentrated, so that some actions have almost no probability.
    return generator.dirichlet(np.full(model.num_actions, 0.3), size=model.num_states)


def dense_matrix(model: TabularModel, policy: Floats) -> Floats:
    p_pi = np.einsum("sa,sat->st", policy, model.transition)
    matrix: Floats = np.eye(model.num_states) - model.discount[:, None] * p_pi
    return matrix


def assert_solves(model: TabularModel, policy: Floats, right: Floats) -> None:
    factors = np.empty(model.num_factors)
    factorise(model, policy, factors)
    matrix = dense_matrix(model, policy)
    for transposed, dense in ((False, matrix), (True, matrix.T)):
        expected = np.linalg.solve(dense, right)
        found = right.copy()
        solve(model, factors, transposed, found)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())


@given(seed=st.integers(0, 10_000), num_states=st.integers(1, 25), num_successors=st.integers(1, 4))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_solutions_equal_dense_ones_on_random_graphs(
    seed: int, num_states: int, num_successors: int
) -> None:
    generator = np.random.default_rng(seed)
    model = random_model(generator, num_states, num_successors)
    assert_solves(model, random_policy(generator, model), generator.standard_normal(num_states))


@pytest.mark.parametrize("seed", range(5))
def test_solutions_equal_dense_ones_in_four_rooms(seed: int) -> None:
    generator = np.random.default_rng(seed)
    model = FourRooms().planner
    assert_solves(model, random_policy(generator, model), generator.standard_normal(104))


def test_factors_can_be_reused_and_rewritten() -> None:
    generator = np.random.default_rng(0)
    model = FourRooms().planner
    factors = np.full(model.num_factors, np.nan)  # what is left of earlier contents must not matter
    for _ in range(2):
        policy = random_policy(generator, model)
        factorise(model, policy, factors)
        for _ in range(2):
            right = generator.standard_normal(104)
            found = right.copy()
            solve(model, factors, False, found)
            np.testing.assert_allclose(dense_matrix(model, policy) @ found, right, atol=1e-11)


def test_policies_are_evaluated_run_by_run() -> None:
    generator = np.random.default_rng(1)
    model = FourRooms().planner
    policies = np.stack([random_policy(generator, model) for _ in range(3)])
    reward = generator.standard_normal((3, 104, 4))
    values = evaluate_policy(model, policies, reward)
    for policy, r, value in zip(policies, reward, values, strict=True):
        expected = np.linalg.solve(dense_matrix(model, policy), (policy * r).sum(1))
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)


def test_the_schedule_is_short_on_the_map() -> None:
    # The point of it: a dense factorisation of 104 states takes 104³ / 3 = 375,000 updates.
    model = FourRooms().planner
    assert len(model.target) < 5_000
    assert sorted(model.order) == list(range(104))
