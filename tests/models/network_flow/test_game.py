"""Charged roads as a game: anchors, charges within bounds, and starts that do not matter."""

import numpy as np
import pytest

from bilevelrl.core.ascent import Adam
from bilevelrl.core.exact import Exact
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.game import RoadGame, Travel
from bilevelrl.models.network_flow.hypergradient import Objective, net_cost, travel_time
from tests.models.network_flow.examples import CHARGED, Floats, generated, sioux


def game_of(
    objective: Objective = travel_time, runs: int = 1, rationality: float = 1.0
) -> RoadGame:
    roads = ChargedRoads(sioux(), np.array(CHARGED), 30.0, objective)
    return RoadGame(roads, np.full(runs, rationality))


def answer(game: RoadGame, theta: Floats) -> Travel:
    streams = Streams(list(range(len(theta))))
    return game.respond(theta, game.follower_memory(len(theta), streams), streams)


def some_theta(runs: int = 1, seed: int = 4) -> Floats:
    return np.random.default_rng(seed).uniform(0.5, 8.0, (runs, len(CHARGED)))


@pytest.mark.parametrize(
    ("rationality", "time", "net"),
    [(0.5, 7_772_674, 7_312_233), (1.0, 7_433_602, 7_329_213), (2.0, 7_422_518, 7_386_173)],
)
def test_reproduces_both_objectives_without_charges(
    rationality: float, time: float, net: float
) -> None:
    game = game_of(rationality=rationality)
    streams = Streams([0])
    theta, memory = game.start(streams)
    assert not theta.any()
    response = game.respond(theta, memory, streams)
    found = game.coordinates(theta, response)
    assert found["travel_time"][0] == pytest.approx(time, abs=0.51)
    assert found["net_cost"][0] == pytest.approx(net, abs=0.51)
    assert found["revenue"][0] == found["mean_charge"][0] == 0.0
    assert game.leader_return(theta, response)[0] == -found["travel_time"][0]


def test_an_answer_depends_on_the_one_before_only_as_much_as_its_accuracy() -> None:
    game = game_of(runs=3)
    streams = Streams([0, 1, 2])
    _, memory = game.start(streams)
    for seed in range(3):
        theta = some_theta(3, seed)
        warm = game.respond(theta, memory, streams)
        assert (warm.accuracy <= game.tolerance).all()
        np.testing.assert_allclose(warm.reached.flow, answer(game, theta).reached.flow, rtol=1e-9)
        np.testing.assert_allclose(
            game.leader_return(theta, warm), game.optimal_return(theta), rtol=1e-11
        )
        np.testing.assert_array_equal(memory, warm.reached.flow)
    cold = game.optimal_return(theta)
    np.testing.assert_array_equal(cold, game.optimal_return(theta))


@pytest.mark.parametrize("objective", [travel_time, net_cost])
def test_the_hypergradient_matches_central_differences(objective: Objective) -> None:
    game, theta = game_of(objective), some_theta()
    exact = game.ground_truth(theta, answer(game, theta))
    assert exact.leader_return_optimal[0] == game.optimal_return(theta)[0]
    for place in (0, 7, 17):
        move = 0.01 * np.eye(len(CHARGED))[place]
        ahead, behind = (game.optimal_return(theta + sign * move)[0] for sign in (1.0, -1.0))
        wanted = exact.hypergradient[0, place]
        assert (ahead - behind) / 0.02 == pytest.approx(wanted, rel=1e-4, abs=1.0)


def test_beyond_the_bounds_charges_stay_and_so_does_the_return() -> None:
    game = game_of()
    theta = some_theta()
    theta[0, :4] = [-1.0, 0.0, 30.0, 31.0]
    paid = game.roads.charges(theta)[0]
    np.testing.assert_array_equal(paid[CHARGED[:4]], [0.0, 0.0, 30.0, 30.0])
    np.testing.assert_array_equal(paid[CHARGED[4:]], theta[0, 4:])
    assert not np.delete(paid, CHARGED).any()
    exact = game.hypergradient(theta, answer(game, theta)).total[0]
    assert exact[0] == exact[3] == 0.0
    assert np.delete(exact, [0, 3]).all()
    moved = theta.copy()
    moved[0, [0, 3]] = [-5.0, 50.0]
    assert game.optimal_return(moved) == game.optimal_return(theta)


def test_ascent_within_bounds_stays_there_and_comes_close_to_the_best_charges() -> None:
    game = game_of()
    rule = Projected(Adam(np.full(1, 0.3)), 0.0, 30.0)
    trained = train(game, Exact(game), Streams([0]), rule=rule, num_updates=60, max_rows=6)
    assert (trained.theta >= 0.0).all()
    assert (trained.theta <= 30.0).all()
    # The best is -7,305,771.26; no charges give -7,433,602.
    assert game.optimal_return(trained.theta)[0] > -7_305_771.26 - 500.0
    assert (trained.curves["follower_accuracy"] <= 1e-12).all()


def test_zero_order_sees_the_slope_along_its_direction() -> None:
    game, theta = game_of(), some_theta()
    response = answer(game, theta)
    streams, again = Streams([3]), Streams([3])
    estimator = ZeroOrder(game, np.full(1, 1e-3))
    found = estimator.estimate(theta, response, estimator.start(streams), streams).gradient[0]
    direction = again.normals("zero_order", (len(CHARGED),))[0]
    slope = game.hypergradient(theta, response).total[0] @ direction
    np.testing.assert_allclose(found, slope * direction, rtol=0.02)


def test_impossible_roads_are_refused() -> None:
    net = generated()
    for charged, message in (
        ([], "some links are needed"),
        ([1, 1], "each once"),
        ([48], "links are 0 to 47"),
        ([-1], "links are 0 to 47"),
    ):
        with pytest.raises(ValueError, match=message):
            ChargedRoads(net, np.array(charged, dtype=np.int64), 1.0, travel_time)
    with pytest.raises(ValueError, match="highest = 0"):
        ChargedRoads(net, np.array([1]), 0.0, travel_time)
