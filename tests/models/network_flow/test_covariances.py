"""W from trips: its mean, what it is with all trips there are, symmetry and sign."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.braess import braess
from bilevelrl.models.network_flow.choice_counts import ChoiceCounts
from bilevelrl.models.network_flow.choice_covariance import ChoiceCovariance
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.grid_network import grid_network
from bilevelrl.models.network_flow.loading import load
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.pair_covariance import pair_covariance
from bilevelrl.models.network_flow.seen_trips import Covariance
from bilevelrl.models.network_flow.trips import Trips, TripSampler
from tests.models.network_flow.examples import Floats, generated, generic_theta, sioux, triangle


def reached(network: Network, rationality: float) -> Equilibrium:
    return equilibrium(network, generic_theta(network, 1), np.array([rationality]))


def drawn(found: Equilibrium, number: int, runs: int = 1, seed: int = 0) -> Trips:
    policy = np.repeat(found.policy, runs, axis=0)
    streams = Streams(list(range(seed, seed + runs)))
    return TripSampler(found.network, number).sample(policy, streams)


def change(network: Network) -> Floats:
    return np.random.default_rng(1).uniform(1.0, 5.0, network.num_links)


@pytest.mark.parametrize("rationality", [0.6, 2.0])
@pytest.mark.parametrize(
    "network",
    [sioux(), generated(), triangle(), grid_network(12, 13, 0, 4)],
    ids=["sioux", "grid", "3", "sparse"],
)
def test_choices_give_the_exact_matrix_and_flows_if_all_are_known(
    network: Network, rationality: float
) -> None:
    found = reached(network, rationality)
    ones = np.ones((network.num_destinations, network.num_nodes))
    known = ChoiceCovariance(network, network.demand, found.policy[0], ones, rationality)
    np.testing.assert_allclose(known.flow, found.flow[0], rtol=1e-9, atol=1e-9)
    u = change(network)
    wanted = found.loadings[0].product(u)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(known.product(u), wanted, rtol=1e-9, atol=1e-9 * scale)


def test_pairs_have_the_matrix_as_mean_also_from_few_trips() -> None:
    # 60 trips for 75 pairs, 4,000 times: no link that is used is 4.5 standard errors away. If pairs
    # did not weigh more because they are often alone, some would be 9.
    net, number, runs = generated(), 60, 4_000
    found = reached(net, 0.7)
    trips, u = drawn(found, number, runs), change(net)
    products = np.array([pair_covariance(net, trips, r, 0.7).product(u) for r in range(runs)])
    error = np.maximum(products.std(axis=0, ddof=1) / np.sqrt(runs), 1e-9)
    wanted = found.loadings[0].product(u)
    used = found.flow[0] > 0.01 * net.total_demand
    assert used.sum() > 20
    assert np.abs((products.mean(axis=0) - wanted) / error)[used].max() < 4.5
    share = net.demand / net.total_demand
    seldom = replace(net, demand=net.demand * (1.0 - (1.0 - share) ** (number - 1)))
    less = load(seldom, found.time[0] + found.theta[0], 0.7).product(u)
    assert np.abs((less - wanted) / error)[used].max() > 9.0


def test_counted_choices_come_to_the_matrix_sooner_if_corrected() -> None:
    # 800 runs of 300 trips for 75 pairs. Along W u, as a share of it, the mean is 1 % off with a
    # standard error of 1 %, and 6 % if choices vary around their own mean as around the true one.
    net, runs = generated(), 800
    found, u = reached(net, 0.7), change(net)
    counts = ChoiceCounts(net, 0.0)
    memory = counts.start(Streams(list(range(runs))))
    counts.see(drawn(found, 300, runs), memory)
    wanted = found.loadings[0].product(u)
    known = [counts.covariance(r, memory, 0.7) for r in range(runs)]
    plain = [replace(each, correction=np.ones_like(each.correction)) for each in known]
    ours, theirs = (
        np.array([each.product(u) @ wanted / (wanted @ wanted) - 1.0 for each in several])
        for several in (known, plain)
    )
    assert ours.std() / np.sqrt(runs) < 0.011
    assert abs(ours.mean()) < 0.03
    assert theirs.mean() < -0.045


def matrix(covariance: Covariance, num_links: int) -> Floats:
    return np.array([covariance.product(unit) for unit in np.eye(num_links)])


@pytest.mark.parametrize("number", [300, 2_000])
def test_estimates_are_symmetric_and_negative_semidefinite(number: int) -> None:
    net = sioux()
    trips = drawn(reached(net, 0.6), number)
    counts = ChoiceCounts(net, 0.9)
    memory = counts.start(Streams([0]))
    counts.see(trips, memory)
    for each in (pair_covariance(net, trips, 0, 0.6), counts.covariance(0, memory, 0.6)):
        found = matrix(each, 76)
        scale = np.abs(found).max()
        assert scale > 0.0
        np.testing.assert_allclose(found, found.T, atol=1e-10 * scale)
        assert np.linalg.eigvalsh(0.5 * (found + found.T)).max() < 1e-10 * scale


def test_a_pair_matrix_is_the_covariance_within_pairs_that_it_says() -> None:
    net = triangle()
    trips = drawn(reached(net, 1.0), 9, seed=3)
    counts = trips.counts(0, 4)
    wanted = np.zeros((4, 4))
    for origin, destination, demand in ((0, 1, 5.0), (0, 2, 7.0), (1, 2, 2.0)):
        own = counts[(trips.origin[0] == origin) & (trips.destination[0] == destination)]
        if len(own) > 1:
            accompanied = 1.0 - (1.0 - demand / 14.0) ** 8
            wanted -= 14.0 * len(own) / 9.0 * np.cov(own.T) / accompanied
    assert wanted.any()
    found = matrix(pair_covariance(net, trips, 0, 1.0), 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_older_choices_are_forgotten() -> None:
    net = triangle()
    found = reached(net, 1.0)
    counts, streams = ChoiceCounts(net, 0.5), Streams([0])
    memory = counts.start(streams)
    first, second = drawn(found, 30, seed=1), drawn(found, 20, seed=2)
    counts.see(first, memory)
    before = memory["choices"].copy()
    np.testing.assert_array_equal(before.sum(axis=1)[0], first.counts(0, 4).sum(axis=0))
    counts.see(second, memory)
    new = second.counts(0, 4).sum(axis=0)
    np.testing.assert_allclose(memory["choices"].sum(axis=1)[0], 0.5 * before.sum(axis=1)[0] + new)
    np.testing.assert_allclose(memory["squares"].sum(axis=1)[0], 0.25 * before.sum(axis=1)[0] + new)


def test_who_begins_where_nobody_was_seen_is_not_lost() -> None:
    net = sioux()
    counts = ChoiceCounts(net, 0.9)
    memory = counts.start(Streams([0]))
    counts.see(drawn(reached(net, 1.0), 400), memory)
    known = counts.covariance(0, memory, 1.0)
    assert (known.demand == 0.0).sum() > (net.demand == 0.0).sum()
    np.testing.assert_allclose(known.demand.sum(axis=0), net.arrivals, rtol=1e-12)
    assert (known.demand >= net.demand - 1e-9)[known.demand > 0.0].all()


def test_one_pair_alone_has_the_covariance_of_all_trips() -> None:
    net = braess()
    found = equilibrium(net, np.zeros((1, 5)), np.array([0.1]))
    trips, counts = drawn(found, 20_000), ChoiceCounts(net, 0.0)
    memory = counts.start(Streams([0]))
    counts.see(trips, memory)
    wanted = found.loadings[0].jacobian()
    for each in (pair_covariance(net, trips, 0, 0.1), counts.covariance(0, memory, 0.1)):
        assert np.linalg.norm(matrix(each, 5) - wanted) < 0.05 * np.linalg.norm(wanted)
    single = pair_covariance(net, drawn(found, 1), 0, 0.1)
    assert not matrix(single, 5).any()


def test_travellers_who_never_arrive_are_refused() -> None:
    net = sioux()
    policy = reached(net, 1.0).policy[0]
    policy[6] = 0.0
    policy[6, [0, 2]] = 1.0  # 0 to 1 and back
    lost = ChoiceCovariance(net, net.demand, policy, np.ones((24, 24)), 1.0)
    with pytest.raises(ValueError, match="travellers to node 6 never arrive"):
        lost.product(change(net))


def test_impossible_factors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"forgetting_factor = 1\.5: 0 to 1"):
        ChoiceCounts(triangle(), 1.5)
