"""The exact hypergradient: reference vectors, finite differences, and two other derivations."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.exact import Exact, Hypergradient
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.exact import exact_hypergradient, leader_return
from bilevelrl.models.tabular.game import TabularGame
from bilevelrl.models.tabular.model import action_values
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PUBLISHED = FourRooms(slip_kernels="published")
TEMPERATURES = np.array([0.001, 0.003, 0.005])
START, GOAL, TARGET, KEPT = 31, 7, 66, 104


def best_response(problem: FourRooms, theta: Floats, temperature: Floats) -> BestResponse:
    follower = SoftPolicyIteration(problem.planner, temperature, 1e-12, 60)
    return follower.respond(problem.follower_reward(theta), np.zeros((len(theta), 104)))


def hypergradient(problem: FourRooms, theta: Floats, temperature: Floats) -> Hypergradient:
    policy = best_response(problem, theta, temperature).policy
    return exact_hypergradient(problem, theta, policy, temperature)


class SpecVector(NamedTuple):
    """Golden values, computed by other code; one entry per temperature."""

    theta: Floats
    leader_return: list[float]
    norm: list[float]
    components: dict[int, list[float]]


ZERO = SpecVector(
    np.zeros(105),
    [-0.740644, -0.725819, -0.667413],
    [0.007138, 0.007222, 0.009210],
    {
        KEPT: [0.007066, 0.006988, 0.006802],
        START: [-0.000118, -0.000719, -0.002283],
        TARGET: [-0.000068, -0.000061, -0.000329],
    },
)
SINE = SpecVector(
    np.sin(np.arange(105)),
    [-0.743578, -0.728059, -0.669160],
    [0.004100, 0.004378, 0.007092],
    {KEPT: [0.004013, 0.003964, 0.003849]},
)
LAST_DIGIT = 6e-7


@pytest.mark.parametrize("vector", [ZERO, SINE], ids=["zero", "sine"])
def test_reproduces_the_reference_vectors(vector: SpecVector) -> None:
    theta = np.tile(vector.theta, (3, 1))
    found = hypergradient(PUBLISHED, theta, TEMPERATURES)
    np.testing.assert_allclose(found.leader_return, vector.leader_return, atol=LAST_DIGIT)
    np.testing.assert_allclose(np.linalg.norm(found.total, axis=1), vector.norm, atol=LAST_DIGIT)
    for component, expected in vector.components.items():
        np.testing.assert_allclose(found.total[:, component], expected, atol=LAST_DIGIT)


def test_reproduces_the_reference_parts_at_zero() -> None:
    found = hypergradient(PUBLISHED, np.zeros((3, 105)), TEMPERATURES)
    np.testing.assert_allclose(found.direct[:, KEPT], [0.007062, 0.006923, 0.006406], atol=6e-7)
    # From an independent implementation, to four digits.
    np.testing.assert_allclose(
        np.linalg.norm(found.direct, axis=1), [0.0071, 0.0070, 0.0064], atol=6e-5
    )
    np.testing.assert_allclose(
        np.linalg.norm(found.indirect, axis=1), [0.0007, 0.0017, 0.0062], atol=6e-5
    )


def test_matches_central_differences_at_generic_points(problem: FourRooms, theta: Floats) -> None:
    # Richardson's combination of two steps, of order h⁴: J bends on the scale of β, so the plain
    # quotient would need steps at which rounding takes over.
    def returns(points: Floats, temperature: float) -> Floats:
        beta = np.full(len(points), temperature)
        return leader_return(problem, points, best_response(problem, points, beta).policy)

    def quotient(point: Floats, temperature: float, step: float) -> Floats:
        steps = step * np.eye(105)
        ahead, behind = returns(point + steps, temperature), returns(point - steps, temperature)
        return (ahead - behind) / (2.0 * step)

    exact = hypergradient(problem, theta, TEMPERATURES).total
    for point, beta, gradient in zip(theta, TEMPERATURES, exact, strict=True):
        coarse, fine = (quotient(point, beta, step) for step in (2e-3, 1e-3))
        numeric = (4.0 * fine - coarse) / 3.0
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6 * scale)


def test_the_test_points_have_an_indirect_part_worth_testing(theta: Floats) -> None:
    found = hypergradient(PUBLISHED, theta, TEMPERATURES)
    ratio = np.linalg.norm(found.indirect, axis=1) / np.linalg.norm(found.direct, axis=1)
    assert (ratio > 0.02).all()
    assert (ratio > 0.2).any()


def test_covariance_form_equals_implicit_differentiation(problem: FourRooms, theta: Floats) -> None:
    # dJ/dθ = Σ_s d(s) { E[∂ r_L] + Cov(Q_L, ∂ Q_F) / β }, with a ~ π*(. | s) and d the discounted
    # number of visits. Dense tables throughout, so the only error is rounding.
    model = problem.planner
    policies = best_response(problem, theta, TEMPERATURES).policy
    exact = exact_hypergradient(problem, theta, policies, TEMPERATURES)
    for run, (policy, beta) in enumerate(zip(policies, TEMPERATURES, strict=True)):
        weights = np.exp(theta[run])
        p = weights / weights.sum()
        # ∂c_s/∂θ_j = -.2 p_s (1[s=j] - p_j)
        jacobian = -0.2 * (np.eye(104, 105) - p) * p[:104, None]
        jacobian[GOAL] = 0.0
        leader_jacobian = np.zeros((104, 105))
        leader_jacobian[GOAL] = -5.0 * 0.2 * p[KEPT] * (p - np.eye(105)[KEPT])

        going_on = 0.99 * (np.arange(104) != GOAL)
        matrix = np.eye(104) - going_on[:, None] * np.einsum("sa,sat->st", policy, model.transition)

        def q_values(
            reward: Floats,
            policy: Floats = policy,
            matrix: Floats = matrix,
            going_on: Floats = going_on,
        ) -> Floats:
            value = np.linalg.solve(matrix, np.einsum("sa,sa...->s...", policy, reward))
            expected = np.einsum("s,sat,t...->sa...", going_on, model.transition, value)
            table: Floats = reward + expected
            return table

        q_leader = q_values(problem.leader_reward(theta)[run])
        q_follower = q_values(np.repeat(jacobian[:, None], 4, axis=1))
        mean_leader = (policy * q_leader).sum(1)
        covariance = np.einsum("sa,sa,saj->sj", policy, q_leader - mean_leader[:, None], q_follower)
        visits = np.linalg.solve(matrix.T, np.eye(104)[START])
        np.testing.assert_allclose(exact.direct[run], visits @ leader_jacobian, atol=1e-12)
        np.testing.assert_allclose(exact.indirect[run], visits @ covariance / beta, atol=1e-10)
        assert exact.leader_return[run] == pytest.approx(mean_leader[START], abs=1e-12)
        found = action_values(model, policies, problem.leader_reward(theta))[run]
        np.testing.assert_allclose(found, q_leader, atol=1e-11)


def autograd(problem: FourRooms, theta: Floats, beta: float, value: Floats) -> tuple[float, Floats]:
    """J and dJ/dθ by automatic differentiation through the fixed point, dense."""
    model = problem.planner
    transition, value_at_end = torch.tensor(model.transition), torch.tensor(value)
    going_on = 0.99 * (torch.arange(104) != GOAL).double()[:, None]
    x = torch.tensor(theta, requires_grad=True)
    p = torch.softmax(x, 0)
    goal, target = torch.eye(104).double()[[GOAL, TARGET]]
    follower_reward = (-0.2 * p[:104] * (1.0 - goal) + goal)[:, None]
    leader_reward = target - goal * 5.0 * 0.2 * (1.0 - p[KEPT])

    def q(v: torch.Tensor) -> torch.Tensor:
        return follower_reward + going_on * torch.einsum("sat,t->sa", transition, v)

    def matrix(policy: torch.Tensor) -> torch.Tensor:
        identity = torch.eye(104).double()
        return identity - going_on * torch.einsum("sa,sat->st", policy, transition)

    # (I - γ P_π)⁻¹ (T v - v) is zero in value, and its derivative is what the implicit function
    # theorem says.
    with torch.no_grad():
        at_end = matrix(torch.softmax(q(value_at_end) / beta, 1))
    residual = beta * torch.logsumexp(q(value_at_end) / beta, 1) - value_at_end
    v = value_at_end + torch.linalg.solve(at_end, residual)
    policy = torch.softmax(q(v) / beta, 1)
    result = torch.linalg.solve(matrix(policy), leader_reward)[START]
    (gradient,) = torch.autograd.grad(result, x)
    return result.item(), gradient.numpy()


def test_automatic_differentiation_agrees(problem: FourRooms, theta: Floats) -> None:
    response = best_response(problem, theta, TEMPERATURES)
    exact = exact_hypergradient(problem, theta, response.policy, TEMPERATURES)
    for run, beta in enumerate(TEMPERATURES):
        value, gradient = autograd(problem, theta[run], beta, response.value[run])
        assert exact.leader_return[run] == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(exact.total[run], gradient, rtol=1e-8, atol=1e-10)


def test_the_exact_estimator_is_the_hypergradient_and_costs_nothing(theta: Floats) -> None:
    response = best_response(PUBLISHED, theta, TEMPERATURES)
    streams = Streams([0, 1, 2])
    follower = SoftPolicyIteration(PUBLISHED.planner, TEMPERATURES, 1e-12, 100)
    exact = Exact(TabularGame(PUBLISHED, follower, follower, np.ones(3)))
    estimate = exact.estimate(theta, response, exact.start(streams), streams)
    truth = exact_hypergradient(PUBLISHED, theta, response.policy, TEMPERATURES)
    np.testing.assert_array_equal(estimate.direct, truth.direct)
    np.testing.assert_array_equal(estimate.indirect, truth.indirect)
    np.testing.assert_array_equal(estimate.gradient, truth.total)
    assert (estimate.env_steps, estimate.oracle_steps) == (0, 0)
    assert np.isnan(estimate.leader_return_sampled).all()


def test_a_run_is_the_same_alone_and_in_a_batch_of_40() -> None:
    theta = np.random.default_rng(2).standard_normal((40, 105))
    temperature = np.resize(TEMPERATURES, 40)
    together = hypergradient(PUBLISHED, theta, temperature)
    for run in (0, 23, 39):
        part = slice(run, run + 1)
        alone = hypergradient(PUBLISHED, theta[part], temperature[part])
        np.testing.assert_array_equal(together.total[run], alone.total[0])
        assert together.leader_return[run] == alone.leader_return[0]
