"""The exact hypergradient: reference values, finite differences, and marginal-cost pricing."""

import numpy as np
import pytest
from scipy.optimize import minimize

from bilevelrl.models.network_flow.braess import braess
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.hypergradient import (
    Objective,
    exact_hypergradient,
    net_cost,
    travel_time,
    without_adjoint,
)
from bilevelrl.models.network_flow.marginal_costs import marginal_costs
from bilevelrl.models.network_flow.network import Network
from tests.models.network_flow.examples import (
    BEST,
    CHARGED,
    Floats,
    cosine,
    generated,
    generic_theta,
    sioux,
)

OBJECTIVES = [travel_time, net_cost]


def test_reproduces_the_reference_angles_without_charges() -> None:
    reached = equilibrium(sioux(), np.zeros((1, 76)), np.ones(1))
    exact, part = (f(travel_time, reached) for f in (exact_hypergradient, without_adjoint))
    assert cosine(part.total, exact.total) == pytest.approx(0.708, abs=5e-4)
    ratio = np.linalg.norm(part.total) / np.linalg.norm(exact.total)
    assert ratio == pytest.approx(5.76, abs=5e-3)
    assert not exact.direct.any()
    exact, part = (f(net_cost, reached) for f in (exact_hypergradient, without_adjoint))
    assert cosine(exact.direct, exact.total) == pytest.approx(-0.285, abs=5e-4)
    np.testing.assert_array_equal(exact.direct, reached.flow)
    np.testing.assert_array_equal(part.direct, exact.direct)
    assert not part.total.any()


def test_marginal_costs_are_optimal_for_the_net_cost() -> None:
    found = marginal_costs(sioux(), np.ones(1))
    exact = exact_hypergradient(net_cost, found)
    assert -exact.leader_return[0] == pytest.approx(7_111_279.91, abs=0.01)
    assert travel_time(found).loss[0] == pytest.approx(7_200_742.59, abs=0.01)
    assert found.theta.mean() == pytest.approx(16.88, abs=5e-3)
    assert found.theta.max() == pytest.approx(56.79, abs=5e-3)
    np.testing.assert_allclose(found.theta, found.flow * found.slope, rtol=1e-12)
    # Stationary, measured by what both parts are that cancel.
    assert np.abs(exact.total).max() < 1e-9 * np.abs(exact.direct).max()


def test_nothing_near_marginal_costs_is_better() -> None:
    net = generated()
    best = marginal_costs(net, np.ones(1))
    moves = np.random.default_rng(6).normal(scale=0.3, size=(20, net.num_links))
    others = equilibrium(net, best.theta + moves, np.ones(20))
    assert (net_cost(others).loss > net_cost(best).loss[0]).all()


@pytest.mark.parametrize(
    ("objective", "rationality", "best", "error"),
    [
        (travel_time, 1.0, 7_305_771.26, 0.01),
        (net_cost, 1.0, 7_200_102.27, 0.01),
        (travel_time, 0.5, 7_625_443.0, 0.51),
        (net_cost, 0.5, 7_192_239.0, 0.51),
        (travel_time, 2.0, 7_261_451.0, 0.51),
    ],
)
def test_ascent_reaches_the_best_18_charges(
    objective: Objective, rationality: float, best: float, error: float
) -> None:
    net, beta = sioux(), np.array([rationality])

    def evaluated(charges: Floats) -> tuple[float, Floats]:
        theta = np.zeros((1, net.num_links))
        theta[0, CHARGED] = charges
        found = exact_hypergradient(objective, equilibrium(net, theta, beta))
        return -float(found.leader_return[0]), -found.total[0, CHARGED]

    for start in (0.0, 5.0):
        found = minimize(
            evaluated, np.full(18, start), jac=True, method="L-BFGS-B", bounds=[(0.0, 30.0)] * 18,
            options={"ftol": 1e-14, "gtol": 1e-5},
        )  # fmt: skip
        assert found.fun == pytest.approx(best, abs=error)
        if objective is travel_time and rationality == 1.0:
            np.testing.assert_allclose(found.x, BEST, atol=0.0051)


def losses(network: Network, points: Floats, rationality: float) -> Floats:
    """Of both objectives, shape (2, points)."""
    reached = equilibrium(network, points, np.full(len(points), rationality), tolerance=1e-13)
    return np.array([objective(reached).loss for objective in OBJECTIVES])


def quotients(network: Network, theta: Floats, moves: Floats, rationality: float) -> Floats:
    """Central differences along each move, of order h⁴ (Richardson), shape (2, moves)."""

    def quotient(step: float) -> Floats:
        ahead, behind = (
            losses(network, theta + sign * step * moves, rationality) for sign in (1.0, -1.0)
        )
        return (ahead - behind) / (2.0 * step)

    result: Floats = (4.0 * quotient(0.01) - quotient(0.02)) / 3.0
    return result


@pytest.mark.parametrize("rationality", [0.6, 2.0])
@pytest.mark.parametrize("network", [sioux(), generated(), braess()], ids=["sioux", "grid", "4"])
def test_matches_central_differences_at_generic_points(
    network: Network, rationality: float
) -> None:
    # One at a time for eight links, and all at once in four random directions.
    links = np.linspace(0, network.num_links - 1, 8).astype(int)
    every = np.random.default_rng(5).standard_normal((4, network.num_links))
    moves = np.concatenate([np.eye(network.num_links)[links], every / np.sqrt(network.num_links)])
    (theta,) = generic_theta(network, 1, seed=8)
    numeric = -quotients(network, theta, moves, rationality)
    reached = equilibrium(network, theta[None], np.array([rationality]))
    for objective, wanted in zip(OBJECTIVES, numeric, strict=True):
        (gradient,) = exact_hypergradient(objective, reached).total
        scale = np.abs(gradient).max()
        assert scale > 0.0
        np.testing.assert_allclose(moves @ gradient, wanted, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("network", [sioux(), generated(), braess()], ids=["sioux", "grid", "4"])
def test_flows_answer_charges_by_a_symmetric_matrix(network: Network) -> None:
    moves = np.random.default_rng(3).standard_normal((2, network.num_links))
    (theta,) = generic_theta(network, 1, seed=9)
    reached = equilibrium(network, theta[None], np.ones(1), tolerance=1e-13)
    (loading,), (slope,) = reached.loadings, reached.slope
    # K u = (I - W diag(t'))⁻¹ W u
    answers = np.array([loading.feedback(slope, loading.product(u), 1e-13) for u in moves])
    step = 1e-3
    ahead, behind = (
        equilibrium(network, theta + sign * step * moves, np.ones(2), tolerance=1e-13).flow
        for sign in (1.0, -1.0)
    )
    scale = np.abs(answers).max()
    np.testing.assert_allclose(answers, (ahead - behind) / (2.0 * step), atol=1e-5 * scale)
    assert moves[0] @ answers[1] == pytest.approx(moves[1] @ answers[0], rel=1e-8)
    # The congestion that travellers make for one another holds them back.
    alone = np.array([loading.product(u) for u in moves])
    assert (-(moves * answers).sum(axis=1) < -0.95 * (moves * alone).sum(axis=1)).all()


def test_matches_central_differences_with_a_thousand_links() -> None:
    net = grid_network(16, 17, 0, 6)
    assert net.num_links == 1022
    moves = np.random.default_rng(5).standard_normal((2, net.num_links)) / np.sqrt(net.num_links)
    (theta,) = generic_theta(net, 1)
    numeric = -quotients(net, theta, moves, 1.0)
    reached = equilibrium(net, theta[None], np.ones(1))
    for objective, wanted in zip(OBJECTIVES, numeric, strict=True):
        (gradient,) = exact_hypergradient(objective, reached).total
        size = np.sqrt(np.square(gradient).mean())  # of such a move
        np.testing.assert_allclose(moves @ gradient, wanted, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["travel_time", "net_cost"])
def test_the_dense_adjoint_agrees(objective: Objective) -> None:
    net = sioux()
    reached = equilibrium(net, generic_theta(net, 2), np.array([0.7, 1.5]))
    found = objective(reached)
    exact, part = (f(objective, reached) for f in (exact_hypergradient, without_adjoint))
    for r, loading in enumerate(reached.loadings):
        jacobian = loading.jacobian()
        right = jacobian @ found.of_flow[r] + found.of_cost[r]
        np.testing.assert_allclose(-part.indirect[r], right, rtol=1e-9, atol=1e-6)
        matrix = np.eye(76) - jacobian * reached.slope[r]
        wanted = np.linalg.solve(matrix, right)
        np.testing.assert_allclose(-exact.indirect[r], wanted, rtol=1e-8, atol=1e-6)
        np.testing.assert_array_equal(exact.direct[r], -found.of_theta[r])


def test_the_missing_adjoint_is_worth_testing() -> None:
    reached = equilibrium(sioux(), generic_theta(sioux(), 3), np.ones(3))
    for objective in OBJECTIVES:
        exact, part = (f(objective, reached) for f in (exact_hypergradient, without_adjoint))
        for ours, theirs in zip(exact.indirect, part.indirect, strict=True):
            assert np.linalg.norm(ours - theirs) > 0.3 * np.linalg.norm(ours)


def test_a_run_is_the_same_alone_and_in_a_batch_of_7() -> None:
    theta, beta = generic_theta(sioux(), 7), np.linspace(0.6, 2.0, 7)
    reached = equilibrium(sioux(), theta, beta)
    for objective in OBJECTIVES:
        together = exact_hypergradient(objective, reached)
        for run in (0, 6):
            part = slice(run, run + 1)
            alone = exact_hypergradient(objective, equilibrium(sioux(), theta[part], beta[part]))
            np.testing.assert_array_equal(together.total[run], alone.total[0])
            assert together.leader_return[run] == alone.leader_return[0]
