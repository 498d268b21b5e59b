"""Travellers at given costs: against chains written out, differences, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.models.network_flow.factors import spectral_radius
from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.loading import Refused, load
from bilevelrl.models.network_flow.network import Network
from tests.models.network_flow.examples import Floats, generated, sioux, triangle
from tests.models.network_flow.literal import literal

NETWORKS = [sioux(), triangle(), generated()]
NAMES = ["sioux_falls", "triangle", "grid"]


def generic_cost(network: Network) -> Floats:
    """Of every sign that leaves expected costs finite."""
    return network.free_flow_time + np.random.default_rng(1).uniform(-0.5, 6.0, network.num_links)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rationality", [0.8, 2.0])
@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_agrees_with_one_chain_per_destination(
    network: Network, rationality: float, sparse: bool
) -> None:
    cost = generic_cost(network)
    found, wanted = (
        load(network, cost, rationality, sparse=sparse),
        literal(network, cost, rationality),
    )
    np.testing.assert_allclose(found.expected_cost, wanted.expected_cost, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.policy, wanted.policy, rtol=1e-9, atol=1e-13)
    scale = network.total_demand
    np.testing.assert_allclose(found.flow, wanted.flow, atol=1e-13 * scale)
    np.testing.assert_allclose(found.jacobian(), wanted.jacobian, atol=1e-13 * scale)
    travelled = network.demand > 0.0
    total = (network.demand[travelled] * wanted.expected_cost[travelled]).sum()
    assert found.total_cost == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_policies_are_distributions_and_nobody_is_lost(network: Network) -> None:
    found = load(network, generic_cost(network), 1.0)
    for k, d in enumerate(network.destinations):
        leaving = np.bincount(network.tail, found.policy[k], network.num_nodes)
        goes_on = network.reachable[:, k] & (np.arange(network.num_nodes) != d)
        np.testing.assert_allclose(leaving, goes_on.astype(float), atol=1e-13)
        taken = found.visits[network.tail, k] * found.policy[k]
        lost = np.bincount(network.head, taken, network.num_nodes) + network.demand[:, k]
        lost -= np.bincount(network.tail, taken, network.num_nodes)
        lost[d] -= network.arrivals[k]
        np.testing.assert_allclose(lost, 0.0, atol=1e-12 * network.total_demand)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_flows_and_their_jacobian_are_derivatives_of_the_expected_cost(network: Network) -> None:
    cost, step = generic_cost(network), 1e-4
    found = load(network, cost, 1.3)
    for a in range(0, network.num_links, 5):
        unit = step * np.eye(network.num_links)[a]
        ahead, behind = load(network, cost + unit, 1.3), load(network, cost - unit, 1.3)
        slope = (ahead.total_cost - behind.total_cost) / (2.0 * step)
        assert found.flow[a] == pytest.approx(slope, rel=1e-6, abs=1e-9 * network.total_demand)
        column = (ahead.flow - behind.flow) / (2.0 * step)
        scale = 1e-7 * network.total_demand
        np.testing.assert_allclose(found.jacobian()[:, a], column, rtol=1e-6, atol=scale)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_the_jacobian_is_symmetric_and_negative_semidefinite(network: Network) -> None:
    jacobian = load(network, generic_cost(network), 0.9).jacobian()
    scale = np.abs(jacobian).max()
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-13 * scale)
    assert np.linalg.eigvalsh(jacobian).max() < 1e-12 * scale
    assert np.linalg.eigvalsh(jacobian).min() < -0.1 * scale


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_feedback_solves_its_system(network: Network) -> None:
    found = load(network, generic_cost(network), 0.9)
    slope = network.slope(0.8 * network.capacity)
    slope[0] = 0.0
    right = np.random.default_rng(2).standard_normal(network.num_links)
    matrix = np.eye(network.num_links) - found.jacobian() * slope
    answer = found.feedback(slope, right, 1e-13)
    np.testing.assert_allclose(answer, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(found.feedback(slope, 0.0 * right, 1e-13), 0.0 * right)


@pytest.mark.parametrize(
    ("rationality", "radius"),
    [(0.3, 1.164), (0.5, 0.656), (0.7, 0.399), (1.0, 0.204), (2.0, 0.026)],
)
def test_spectral_radii_of_empty_roads(rationality: float, radius: float) -> None:
    net = sioux()
    weight = np.exp(-rationality * net.free_flow_time)
    assert spectral_radius(net, weight) == pytest.approx(radius, abs=5e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_spectral_radius_decides_what_is_refused(sparse: bool) -> None:
    net = generated()
    low, high = 0.05, 1.0  # rationalities; the radius falls
    for _ in range(40):
        middle = 0.5 * (low + high)
        if spectral_radius(net, np.exp(-middle * net.free_flow_time)) >= 1.0:
            low = middle
        else:
            high = middle
    load(net, net.free_flow_time, high * (1.0 + 1e-6), sparse=sparse)
    with pytest.raises(Refused, match="spectral radius") as caught:
        load(net, net.free_flow_time, low * (1.0 - 1e-6), sparse=sparse)
    assert isinstance(caught.value, ValueError)


def test_the_message_names_run_rationality_and_radius() -> None:
    with pytest.raises(Refused, match=r"run 7: at rationality 0.3 per minute .* is 1.164; it must"):
        load(sioux(), sioux().free_flow_time, 0.3, name="run 7")


def test_the_radius_of_a_large_network_is_that_of_all_eigenvalues() -> None:
    net = grid_network(15, 14, 0, 3)
    weight = np.exp(-0.4 * net.free_flow_time)
    matrix = np.zeros((net.num_nodes, net.num_nodes))
    matrix[net.tail, net.head] = weight
    wanted = np.abs(np.linalg.eigvals(matrix)).max()
    assert spectral_radius(net, weight) == pytest.approx(wanted, rel=1e-8)
    with pytest.raises(Refused, match="spectral radius"):
        load(net, net.free_flow_time, 0.2)


def test_trips_too_long_for_numbers_are_refused() -> None:
    with pytest.raises(Refused, match=r"rationality 60 per minute .* less rational"):
        load(sioux(), sioux().free_flow_time, 60.0)


def test_long_trips_lose_no_digits() -> None:
    # A street of 61 nodes to its end, exp(-τ) down to 10⁻²⁶⁰. The factor of a step that may also
    # go back first, f = e (1 + f²), holds to the last digit some nodes away from where one turns.
    street = grid_network(1, 61, 0, 1)
    last = np.array([60])
    demand = np.zeros((61, 1))
    demand[0] = 1.0
    net = replace(street, destinations=last, demand=demand)
    for sparse in (False, True):
        found = load(net, np.full(net.num_links, 10.0), 1.0, sparse=sparse)
        e = np.exp(-10.0)
        factor = 2.0 * e / (1.0 + np.sqrt(1.0 - 4.0 * e * e))
        assert found.z[0, 0] < 1e-255
        ratio = found.z[5:-1, 0] / found.z[6:, 0]
        np.testing.assert_allclose(ratio, factor, rtol=1e-13)
