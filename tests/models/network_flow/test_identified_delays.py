"""Delay curves from what is seen, without capacities."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.hypergradient import travel_time
from bilevelrl.models.network_flow.identified_delays import IdentifiedDelays, IdentifiedFlows
from bilevelrl.models.network_flow.learned_road_covariance import LearnedRoadCovariance
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from bilevelrl.models.network_flow.trips import Trips
from tests.models.network_flow.examples import CHARGED, sioux


def trips_over(links: list[int]) -> Trips:
    one = np.zeros((1, 1), dtype=np.int32)
    offsets = np.array([[0, len(links)]])
    return Trips(one, one, offsets, np.array(links, dtype=np.int32))


def test_exact_flows_and_times_give_the_true_curves_where_trips_went() -> None:
    net, generator = sioux(), np.random.default_rng(0)
    delays, streams = IdentifiedDelays(net.free_flow_time, net.power, 0.5), Streams([0])
    memory = delays.start(streams)
    taken = [3, 5, 5, 9]
    for _ in range(4):
        flow = generator.uniform(2_000.0, 20_000.0, (1, net.num_links))
        delays.learn(trips_over(taken), net.time(flow), flow, memory)
    learned = delays.coefficient(memory)
    elsewhere = generator.uniform(2_000.0, 20_000.0, (1, net.num_links))
    found = IdentifiedFlows(delays, learned, np.zeros_like(flow), elsewhere)
    for known in (3, 5, 9):
        assert found.time[0, known] == pytest.approx(net.time(elsewhere)[0, known])
        assert found.slope[0, known] == pytest.approx(net.slope(elsewhere)[0, known])
    unknown = np.setdiff1d(np.arange(net.num_links), taken)
    np.testing.assert_array_equal(found.time[0, unknown], net.free_flow_time[unknown])
    assert not found.slope[0, unknown].any()
    assert np.isnan(found.total_cost).all()


def test_capacities_and_times_of_links_that_nobody_took_are_not_read() -> None:
    net = sioux()
    game = RoadGame(ChargedRoads(net, np.array(CHARGED), 30.0, travel_time), np.ones(1))
    theta, streams = np.full((1, len(CHARGED)), 1.0), Streams([0])
    response = game.respond(theta, game.follower_memory(1, streams), streams)
    # A planner that is told nonsense in place of what it must not know, and of what it cannot see.
    blind_net = replace(
        net, capacity=np.full(net.num_links, 7.0), congestion=np.ones(net.num_links)
    )
    told = []
    for known in (net, blind_net):
        roads = ChargedRoads(known, np.array(CHARGED), 30.0, travel_time)
        estimator = LearnedRoadCovariance(
            SeenTrips(roads, 50, np.ones(1)), 0.9, identifies=True
        )  # fmt: skip
        streams = Streams([5])
        told.append(estimator.estimate(theta, response, estimator.start(streams), streams))
    np.testing.assert_array_equal(told[0].gradient, told[1].gradient)
    assert told[0].gradient.any()


def test_the_direction_is_nearly_that_of_a_planner_who_knows_its_curves() -> None:
    game = RoadGame(ChargedRoads(sioux(), np.array(CHARGED), 30.0, travel_time), np.ones(3))
    theta, streams = np.full((3, len(CHARGED)), 2.0), Streams([1, 2, 3])
    response = game.respond(theta, game.follower_memory(3, streams), streams)
    truth = game.hypergradient(theta, response).total[0]
    estimator = LearnedRoadCovariance(SeenTrips(game.roads, 1000, np.ones(3)), 0.9, identifies=True)
    memory = estimator.start(streams)
    for _ in range(10):
        found = estimator.estimate(theta, response, memory, streams).gradient
    cosine = found @ truth / np.linalg.norm(found, axis=1) / np.linalg.norm(truth)
    assert (cosine > 0.85).all()
