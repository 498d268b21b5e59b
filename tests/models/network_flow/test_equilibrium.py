"""Equilibria: anchors, starts, batches, dense against sparse, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.follower import NotConverged
from bilevelrl.models.network_flow.braess import braess
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.hypergradient import net_cost, travel_time
from bilevelrl.models.network_flow.loading import Refused
from bilevelrl.models.network_flow.network import Network
from tests.models.network_flow.examples import (
    BEST,
    CHARGED,
    Floats,
    generated,
    generic_theta,
    sioux,
    triangle,
)
from tests.models.network_flow.literal import literal


def free(network: Network, rationality: list[float]) -> Equilibrium:
    theta = np.zeros((len(rationality), network.num_links))
    return equilibrium(network, theta, np.array(rationality))


def test_reproduces_the_reference_losses_without_charges() -> None:
    found = free(sioux(), [0.5, 1.0, 2.0])
    wanted = [7_772_674, 7_433_602, 7_422_518]
    np.testing.assert_allclose(travel_time(found).loss, wanted, atol=0.51)
    wanted = [7_312_233, 7_329_213, 7_386_173]
    np.testing.assert_allclose(net_cost(found).loss, wanted, atol=0.51)


def test_reproduces_the_best_travel_time_with_18_charges() -> None:
    # The listed charges are rounded to .005: at an optimum that moves the loss by a second order,
    # half of .005² Σ of second derivatives of some hundreds, at most by one vehicle-minute.
    theta = np.zeros((1, 76))
    theta[0, CHARGED] = BEST
    found = travel_time(equilibrium(sioux(), theta, np.ones(1))).loss[0]
    assert 7_305_771.25 <= found <= 7_305_772.26


@pytest.mark.parametrize("rationality", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("network", [sioux(), triangle(), generated()], ids=["sioux", "3", "grid"])
def test_flows_are_what_their_own_costs_make_of_them(network: Network, rationality: float) -> None:
    theta = generic_theta(network, 2)
    found = equilibrium(network, theta, np.full(2, rationality))
    assert (found.residual <= 1e-12 * network.total_demand).all()
    for flow, time, charge in zip(found.flow, found.time, theta, strict=True):
        again = literal(network, time + charge, rationality).flow
        np.testing.assert_allclose(again, flow, atol=2e-12 * network.total_demand)


@pytest.mark.parametrize("rationality", [0.5, 1.0, 4.0])
def test_all_starts_lead_to_the_one_equilibrium(rationality: float) -> None:
    net = sioux()
    theta = np.tile(generic_theta(net, 1), (5, 1))
    beta = np.full(5, rationality)
    numbers = np.random.default_rng(4).uniform(size=(2, 76))
    start = np.array([0.0, 1.0, 8.0, 0.0, 0.0])[:, None] * net.capacity
    start[3:] = numbers * [[30_000.0], [100.0]]
    cold = equilibrium(net, theta, beta)
    warm = equilibrium(net, theta, beta, start)
    np.testing.assert_allclose(warm.flow, cold.flow, atol=1e-10 * net.total_demand)
    assert (warm.steps <= 30).all()
    same = equilibrium(net, theta, beta, cold.flow)
    assert (same.steps == 0).all()
    np.testing.assert_array_equal(same.flow, cold.flow)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [0.3, 1.5])
def test_converges_on_generated_networks(load: float, seed: int) -> None:
    net = grid_network(5, 6, seed, load=load)
    found = equilibrium(net, generic_theta(net, 3), np.array([0.7, 1.0, 3.0]))
    assert (found.residual <= 1e-12 * net.total_demand).all()
    assert (found.steps <= 40).all()


def test_sparse_and_dense_agree() -> None:
    net = sioux()
    theta, beta = generic_theta(net, 2), np.array([0.6, 2.0])
    dense, sparse = (equilibrium(net, theta, beta, sparse=kind) for kind in (False, True))
    np.testing.assert_allclose(sparse.flow, dense.flow, atol=1e-11 * net.total_demand)
    np.testing.assert_allclose(sparse.policy, dense.policy, atol=1e-10)


def test_a_run_is_the_same_alone_and_in_a_batch_of_9() -> None:
    net = sioux()
    theta, beta = generic_theta(net, 9), np.linspace(0.6, 3.0, 9)
    together = equilibrium(net, theta, beta)
    for run in (0, 4, 8):
        part = slice(run, run + 1)
        alone = equilibrium(net, theta[part], beta[part])
        np.testing.assert_array_equal(together.flow[run], alone.flow[0])
        np.testing.assert_array_equal(together.policy[run], alone.policy[0])
        assert together.total_cost[run] == alone.total_cost[0]


def test_a_charge_on_the_new_road_of_braess_shortens_everybodys_trip() -> None:
    # At a high rationality this is Braess's own network, where choice errors cost nothing.
    charge = np.zeros((2, 5))
    charge[1, 2] = 20.0
    found = equilibrium(braess(), charge, np.full(2, 5.0))
    np.testing.assert_allclose(found.flow[0], [4.0, 2.0, 2.0, 2.0, 4.0], atol=0.05)
    np.testing.assert_allclose(found.flow[1], [3.0, 3.0, 0.0, 3.0, 3.0], atol=0.05)
    loss = travel_time(found).loss
    assert loss[0] == pytest.approx(6 * 92.0, rel=0.01)
    assert loss[1] == pytest.approx(6 * 83.0, rel=0.01)


@pytest.mark.parametrize("rationality", [0.3, 2.0, 6.0])
def test_linear_delays_do_not_stop_at_their_kink(rationality: float) -> None:
    # Where a flow passes zero, the residual has an edge; rough steps lead up there.
    start = np.random.default_rng(0).uniform(0.0, 60.0, (20, 5))
    theta = generic_theta(braess(), 20)
    found = equilibrium(braess(), theta, np.full(20, rationality), start)
    assert (found.residual <= 6e-12).all()
    assert (found.flow >= 0.0).all()


def test_steep_delays_and_a_useless_start_are_survived() -> None:
    net = replace(sioux(), power=np.full(76, 8.0))
    start = np.random.default_rng(1).uniform(0.0, 2.0, (12, 76)) * net.capacity
    theta, beta = generic_theta(net, 12), np.full(12, 2.0)
    found, cold = equilibrium(net, theta, beta, start), equilibrium(net, theta, beta)
    np.testing.assert_allclose(found.flow, cold.flow, atol=1e-10 * net.total_demand)


def test_too_little_rationality_is_refused_whatever_the_start() -> None:
    net = sioux()
    full: Floats = np.tile(net.capacity, (2, 1))
    for start in (None, full):
        with pytest.raises(Refused, match=r"run 1: at rationality 0.3 .* 1.164"):
            equilibrium(net, np.zeros((2, 76)), np.array([1.0, 0.3]), start)
    # Charges on all links make circles dear enough.
    charged = equilibrium(net, np.full((1, 76), 2.0), np.array([0.3]))
    assert charged.residual[0] < 1e-6


def test_congestion_too_long_for_numbers_is_refused() -> None:
    net = grid_network(5, 6, 0, load=1.5)
    with pytest.raises(Refused, match=r"run 0: at rationality 8 per minute .* trips shorter"):
        equilibrium(net, np.zeros((1, net.num_links)), np.array([8.0]))


def test_demand_without_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match="from node 2 to node 1: no path leads there"):
        replace(triangle(), demand=np.array([[5.0, 7.0], [0.0, 2.0], [1.0, 0.0]]))


def test_what_does_not_converge_is_refused() -> None:
    with pytest.raises(NotConverged, match=r"run 0: flows miss .* vehicles after"):
        equilibrium(sioux(), np.zeros((1, 76)), np.ones(1), tolerance=1e-30)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"theta": np.zeros((2, 76))}, r"theta has shape \(2, 76\): \(1, 76\) is needed"),
        ({"theta": np.full((1, 76), np.nan)}, r"theta = nan of run 0, link 0: not finite"),
        ({"start": np.zeros((1, 75))}, r"start has shape \(1, 75\)"),
        ({"rationality": np.array([0.0])}, r"rationality = 0.0 of run 0: it must be positive"),
        ({"rationality": np.array([np.inf])}, r"rationality = inf of run 0"),
    ],
)
def test_impossible_arguments_are_refused(given: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"theta": np.zeros((1, 76)), "rationality": np.ones(1)}
    with pytest.raises(ValueError, match=message):
        equilibrium(sioux(), **(arguments | given))
