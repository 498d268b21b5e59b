"""Trips: what a sampler draws, on average and around it, and that runs are independent."""

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.trips import TripRefused, Trips, TripSampler
from tests.models.network_flow.examples import Floats, generated, generic_theta, sioux, triangle
from tests.models.network_flow.literal import literal


def reached(network: Network, runs: int = 1, rationality: float = 0.7) -> Equilibrium:
    return equilibrium(network, generic_theta(network, runs), np.full(runs, rationality))


def by_pair(network: Network, trips: Trips, counts: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Counts less their mean over trips of the same pair, and how many those are."""
    pair = trips.origin[0].astype(int) * network.num_nodes + trips.destination[0]
    number = np.bincount(pair, minlength=network.num_nodes**2)
    total = np.zeros((len(number), network.num_links))
    np.add.at(total, pair, counts)
    return counts - (total / np.maximum(number, 1)[:, None])[pair], number[pair]


@pytest.mark.parametrize("network", [sioux(), triangle(), generated()], ids=["sioux", "3", "grid"])
def test_trips_lead_from_where_they_begin_to_where_they_end(network: Network) -> None:
    found = reached(network, 2)
    trips = TripSampler(network, 500).sample(found.policy, Streams([0, 1]))
    wanted = {(o, int(network.destinations[k])) for o, k in np.argwhere(network.demand > 0.0)}
    for run in range(2):
        for trip in range(500):
            links = trips.links[trips.offsets[run, trip] : trips.offsets[run, trip + 1]]
            ends = int(trips.origin[run, trip]), int(trips.destination[run, trip])
            assert ends in wanted
            assert network.tail[links[0]] == ends[0]
            assert network.head[links[-1]] == ends[1]
            np.testing.assert_array_equal(network.tail[links[1:]], network.head[links[:-1]])
            assert ends[1] not in network.tail[links]


def test_link_counts_have_the_flows_as_mean_and_the_jacobian_as_covariance() -> None:
    # 200,000 trips. Means, all 76 at once by χ²: its mean is 76, its 1 - 10⁻⁶ quantile 146, and a
    # bias of 2 % of every flow adds over 350. Covariances: standard errors from 40 groups of trips,
    # and none of 2,926 entries is more than 6 of them away (or ten trips, where hardly any has both
    # links); all together they come within 5 % of W. Without β_r = .7 that would be 30 %, and more
    # than 300 % if the mean of all trips were subtracted in place of that of the pair.
    net, number, groups = sioux(), 200_000, 40
    found = reached(net)
    truth = literal(net, found.time[0] + found.theta[0], 0.7)
    trips = TripSampler(net, number).sample(found.policy, Streams([5]))
    counts = trips.counts(0, 76)
    np.testing.assert_allclose(trips.mean(0, 76), counts.mean(axis=0), rtol=1e-12)
    within = -found.loadings[0].jacobian() / (0.7 * net.total_demand)
    missed = counts.mean(axis=0) - found.flow[0] / net.total_demand
    spread = (within + truth.between) / number
    assert missed @ np.linalg.pinv(spread, hermitian=True) @ missed < 146.0
    off = 0.02 * found.flow[0] / net.total_demand
    assert off @ np.linalg.pinv(spread, hermitian=True) @ off > 350.0

    centred, size = by_pair(net, trips, counts)
    centred *= np.sqrt(size / np.maximum(size - 1.0, 1.0))[:, None]
    moments = np.array([part.T @ part / len(part) for part in np.array_split(centred, groups)])
    error = moments.std(axis=0, ddof=1) / np.sqrt(groups)
    difference = np.abs(moments.mean(axis=0) - within)
    assert (difference <= 6.0 * error + 10.0 / number).all()
    assert np.linalg.norm(difference) < 0.05 * np.linalg.norm(within)
    assert np.linalg.norm(truth.between) > 3.0 * np.linalg.norm(within)


def test_pairs_are_drawn_in_proportion_to_the_demand() -> None:
    net, number = sioux(), 300_000
    trips = TripSampler(net, number).sample(reached(net).policy, Streams([9]))
    drawn = np.zeros((24, 24))
    np.add.at(drawn, (trips.origin[0], trips.destination[0]), 1.0)
    wanted = number * net.demand / net.total_demand
    there = wanted > 0.0
    assert drawn[~there].sum() == 0.0
    statistic = (np.square(drawn - wanted)[there] / wanted[there]).sum()
    # χ² of 527 degrees of freedom lies in these bounds but for 10⁻⁶ on either side.
    assert 382.0 < statistic < 699.0


def test_circles_are_driven() -> None:
    # At a low rationality a trip takes a link several times, and a mean over trips knows that.
    net = sioux()
    found = reached(net, rationality=0.45)
    trips = TripSampler(net, 20_000).sample(found.policy, Streams([1]))
    assert trips.counts(0, 76).max() >= 2.0
    length = np.diff(trips.offsets[0]).mean()
    assert length == pytest.approx(found.flow[0].sum() / net.total_demand, rel=0.02)


def test_a_run_is_the_same_alone_and_in_a_batch_of_5() -> None:
    net = sioux()
    found = reached(net, 5)
    sampler, seeds = TripSampler(net, 2_000), [3, 1, 4, 15, 9]
    streams = Streams(seeds)
    first = sampler.sample(found.policy, streams)
    second = sampler.sample(found.policy, streams)
    for run in (0, 3):
        own = Streams([seeds[run]])
        for together in (first, second):
            alone = sampler.sample(found.policy[run : run + 1], own)
            np.testing.assert_array_equal(together.origin[run], alone.origin[0])
            np.testing.assert_array_equal(together.destination[run], alone.destination[0])
            for ours, theirs in zip(together.of_run(run), alone.of_run(0), strict=True):
                np.testing.assert_array_equal(ours, theirs)
    assert (first.origin[0] != second.origin[0]).any()
    assert (first.origin[0] != first.origin[1]).any()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")  # type: ignore[attr-defined]
def test_bits_do_not_depend_on_threads() -> None:
    net = sioux()
    found = reached(net, 4)
    sampler = TripSampler(net, 1_000)
    one = sampler.sample(found.policy, Streams([0, 1, 2, 3]))
    numba.set_num_threads(2)
    two = sampler.sample(found.policy, Streams([0, 1, 2, 3]))
    np.testing.assert_array_equal(one.links, two.links)
    np.testing.assert_array_equal(one.offsets, two.offsets)


def test_endless_trips_and_dead_ends_are_refused() -> None:
    net = sioux()
    found = reached(net, 2)
    with pytest.raises(TripRefused, match=r"run 0: .* takes more than max_links = 1 links"):
        TripSampler(net, 100, max_links=1).sample(found.policy, Streams([0, 1]))
    policy = found.policy
    policy[1, 6] = 0.0
    with pytest.raises(TripRefused, match=r"run 1: a trip from node \d+ to node 6 comes to a node"):
        TripSampler(net, 1_000).sample(policy, Streams([0, 1]))
    circle = np.zeros_like(found.policy[:1])
    circle[0, :, 0] = circle[0, :, 2] = 1.0  # 0 to 1 and back
    circle[0, :, 1:2] = 0.0
    others = ~np.isin(net.tail, [0, 1])
    circle[0, :, others] = found.policy[0][:, others].T
    with pytest.raises(TripRefused, match=r"max_links = 500 links"):
        TripSampler(net, 5_000, max_links=500).sample(circle, Streams([0]))


def test_a_trip_of_exactly_max_links_is_allowed() -> None:
    net = triangle()
    policy = np.zeros((1, 2, 4))
    policy[0, 0, 0] = 1.0  # to node 1
    policy[0, 1, [1, 2]] = 1.0  # to node 2 by way of node 1
    trips = TripSampler(net, 200, max_links=2).sample(policy, Streams([0]))
    assert {*np.diff(trips.offsets[0]).tolist()} == {1, 2}


def test_impossible_samplers_are_refused() -> None:
    with pytest.raises(ValueError, match="num_trips = 0: at least 1"):
        TripSampler(sioux(), 0)
    with pytest.raises(ValueError, match="max_links = 0: at least 1"):
        TripSampler(sioux(), 1, max_links=0)
    with pytest.raises(ValueError, match=r"policy has shape \(1, 24, 75\): \(1, 24, 76\)"):
        TripSampler(sioux(), 1).sample(np.zeros((1, 24, 75)), Streams([0]))
