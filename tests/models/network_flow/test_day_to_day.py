"""Travellers who learn from day to day."""

from typing import Any

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.day_to_day import DayToDayGame, LearnedTravel
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.hypergradient import Objective, net_cost, travel_time
from tests.models.network_flow.examples import CHARGED, Floats, sioux


def game_of(
    days: int, step_size: float = 0.05, *, carries: bool = True, objective: Objective = travel_time
) -> DayToDayGame:
    roads = ChargedRoads(sioux(), np.array(CHARGED), 30.0, objective)
    return DayToDayGame(RoadGame(roads, np.array([1.0])), days, np.array([step_size]), carries)


def some_theta(seed: int = 4) -> Floats:
    return np.random.default_rng(seed).uniform(0.5, 8.0, (1, len(CHARGED)))


def answer(game: DayToDayGame, theta: Floats, memory: Any = None) -> LearnedTravel:
    streams = Streams([0])
    return game.respond(theta, game.start(streams)[1] if memory is None else memory, streams)


@pytest.mark.parametrize("objective", [travel_time, net_cost])
def test_travellers_arrive_at_the_equilibrium(objective: Objective) -> None:
    theta, residual = some_theta(), list[float]()
    for days in (20, 80, 300):
        game = game_of(days, objective=objective)
        response = answer(game, theta)
        residual.append(float(response.accuracy[0]))
        assert response.steps == days * 360_600
    assert residual[0] > 10 * residual[1] > 100 * residual[2]
    assert residual[2] < 1e-9
    truth = game.ground_truth(theta, response)
    np.testing.assert_allclose(game.leader_return(theta, response), game.optimal_return(theta))
    np.testing.assert_allclose(truth.leader_return_optimal, game.optimal_return(theta))
    assert 0.0 <= truth.follower_kl[0] < 1e-12
    assert truth.follower_value_gap[0] == pytest.approx(0.0, abs=1e-8)
    settled = game.equilibrium.respond(theta, np.full((1, 76), np.nan), Streams([0])).reached
    np.testing.assert_allclose(response.reached.flow, settled.flow, rtol=1e-7)
    np.testing.assert_allclose(response.reached.total_cost, settled.total_cost, rtol=1e-9)
    np.testing.assert_allclose(
        truth.hypergradient, game.equilibrium.hypergradient(
            theta, game.equilibrium.respond(theta, np.full((1, 76), np.nan), Streams([0]))
        ).total, rtol=1e-7,
    )  # fmt: skip


def test_the_lag_shrinks_by_the_slowest_mode_each_day() -> None:
    theta, game = some_theta(), game_of(1, 0.05)
    settled = game.equilibrium.respond(theta, np.full((1, 76), np.nan), Streams([0])).reached
    root = np.sqrt(settled.slope[0])
    slowed = root[:, None] * settled.loadings[0].jacobian() * root
    largest = -np.linalg.eigvalsh(slowed).min()
    assert largest > 1.0
    # Next to the equilibrium, along that mode: off by 1 - η (1 + λ) times as much the day after.
    mode = root * np.linalg.eigh(slowed)[1][:, 0]
    memory = (settled.time[0] + 1e-4 * mode / np.abs(mode).max())[None]
    before = memory - settled.time
    answer(game, theta, memory)
    np.testing.assert_allclose(
        memory - settled.time, (1.0 - 0.05 * (1.0 + largest)) * before, rtol=0.01, atol=1e-7
    )


def test_what_is_learned_is_carried_or_forgotten() -> None:
    theta = some_theta()
    for carries in (True, False):
        game = game_of(3, carries=carries)
        memory = game.start(Streams([0]))[1]
        first = answer(game, theta, memory)
        second = answer(game, theta, memory)
        same = np.array_equal(first.reached.expected, second.reached.expected)
        assert same == (not carries)
        np.testing.assert_array_equal(memory, second.reached.expected)
        assert (second.accuracy < first.accuracy)[0] == carries


def test_a_lag_shows_in_every_measure() -> None:
    theta, game = some_theta(), game_of(4)
    response = answer(game, theta)
    truth = game.ground_truth(theta, response)
    assert truth.follower_kl[0] > 1e-3
    assert truth.follower_value_gap[0] > 0.01
    assert game.leader_return(theta, response)[0] < truth.leader_return_optimal[0] - 1e4


def test_what_a_trip_costs_is_what_its_policy_costs_at_the_times_that_are_met() -> None:
    theta, game = some_theta(), game_of(2, objective=net_cost)
    reached = answer(game, theta).reached
    net, cost = reached.network, reached.time[0] + reached.theta[0]
    total = 0.0
    for place, destination in enumerate(net.destinations):
        policy = reached.policy[0, place]
        chain = np.zeros((net.num_nodes, net.num_nodes))
        np.add.at(chain, (net.tail, net.head), policy)
        played = np.where(policy > 0.0, policy, 1.0)
        spent = np.bincount(net.tail, policy * (cost + np.log(played)), minlength=net.num_nodes)
        value = np.linalg.solve(np.eye(net.num_nodes) - chain, spent)
        assert value[destination] == 0.0
        total += net.demand[:, place] @ value
    assert reached.total_cost[0] == pytest.approx(total, rel=1e-9)


def test_a_run_is_the_same_alone_and_in_a_batch() -> None:
    roads = game_of(1).equilibrium.roads
    together = DayToDayGame(RoadGame(roads, np.array([1.0, 2.0])), 3, np.array([0.1, 0.2]), True)
    alone = DayToDayGame(RoadGame(roads, np.array([2.0])), 3, np.array([0.2]), True)
    theta, streams = np.vstack([some_theta(1), some_theta(2)]), Streams([0, 1])
    both = together.respond(theta, together.start(streams)[1], streams)
    single = answer(alone, theta[1:])
    np.testing.assert_array_equal(both.reached.flow[1], single.reached.flow[0])
    np.testing.assert_array_equal(both.accuracy[1], single.accuracy[0])


def test_impossible_learners_are_refused() -> None:
    with pytest.raises(ValueError, match="days = 0"):
        game_of(0)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"step_size = {share}"):
            game_of(1, share)
