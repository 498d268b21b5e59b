"""The perturbed follower on roads: which payment tells the gradient, and at which error."""

import numpy as np
import pytest

from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.hypergradient import Objective, net_cost, travel_time
from bilevelrl.models.network_flow.perturbed_travel import (
    PerturbedTravel,
    largest_epsilon,
    push,
)
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from bilevelrl.models.network_flow.trips import TripSampler
from tests.models.network_flow.examples import CHARGED, Floats, sioux


def game_of(objective: Objective, runs: int = 1) -> RoadGame:
    return RoadGame(ChargedRoads(sioux(), np.array(CHARGED), 30.0, objective), np.ones(runs))


def some_theta(runs: int = 1) -> Floats:
    return np.tile(np.random.default_rng(4).uniform(0.5, 8.0, len(CHARGED)), (runs, 1))


def answer(game: RoadGame, theta: Floats) -> tuple[RoadGame, Floats, object]:
    streams = Streams(list(range(len(theta))))
    memory = game.follower_memory(len(theta), streams)
    return game, theta, game.respond(theta, memory, streams)


@pytest.mark.parametrize("objective", [travel_time, net_cost])
@pytest.mark.parametrize("two_sided", [True, False])
def test_small_charges_tell_the_exact_gradient(objective: Objective, two_sided: bool) -> None:
    game, theta, response = answer(game_of(objective), some_theta())
    reached = response.reached  # type: ignore[attr-defined]
    truth = game.hypergradient(theta, response).total[0]  # type: ignore[arg-type]
    found = objective(reached)
    more, charges = push(found, reached.slope), game.roads.charges(theta)
    errors = []
    for size in (0.02, 0.01):
        moved = derivative(
            lambda epsilon: (
                equilibrium(
                    sioux(), charges + epsilon[:, None] * more, np.ones(1), reached.flow
                ).flow
            ),
            np.array([size]),
            None if two_sided else reached.flow,
        )
        of_charges = -(found.of_theta + found.of_cost + moved)
        estimate = game.roads.pulled_back(theta, of_charges)[0]
        errors.append(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))
    assert errors[1] < (0.002 if two_sided else 0.05)
    # Half the payment leaves a quarter of the error, or a half.
    assert errors[0] / errors[1] == pytest.approx(4.0 if two_sided else 2.0, rel=0.15)


def test_another_payment_does_not() -> None:
    game, theta, response = answer(game_of(net_cost), some_theta())
    reached = response.reached  # type: ignore[attr-defined]
    truth = game.hypergradient(theta, response).total[0]  # type: ignore[arg-type]
    found, charges = net_cost(reached), game.roads.charges(theta)
    moved = derivative(  # ∂_w loss alone: as if expected costs did not answer to flows
        lambda epsilon: (
            equilibrium(
                sioux(), charges + epsilon[:, None] * found.of_flow, np.ones(1), reached.flow
            ).flow
        ),
        np.array([0.01]),
    )
    estimate = game.roads.pulled_back(theta, -(found.of_theta + found.of_cost + moved))[0]
    assert np.linalg.norm(estimate - truth) > 0.5 * np.linalg.norm(truth)


@pytest.mark.parametrize("objective", [travel_time, net_cost])
def test_the_mean_over_trips_is_that_of_exact_flows(objective: Objective) -> None:
    runs = 16
    game, theta, response = answer(game_of(objective, runs), some_theta(runs))
    seen = SeenTrips(game.roads, 20_000, np.ones(runs))
    estimator = PerturbedTravel(seen, np.full(runs, 0.1), two_sided=False)
    streams = Streams(list(range(100, 100 + runs)))
    found = estimator.estimate(theta, response, {}, streams)  # type: ignore[arg-type]
    reached = response.reached  # type: ignore[attr-defined]
    told, charges = objective(reached), game.roads.charges(theta)
    after = equilibrium(
        sioux(), charges + 0.1 * push(told, reached.slope), np.ones(runs), reached.flow
    ).flow
    moved = told.of_theta + told.of_cost + (after - reached.flow) / 0.1
    wanted = game.roads.pulled_back(theta, -moved)[0]
    mean = found.gradient.mean(axis=0)
    error = found.gradient.std(axis=0, ddof=1) / np.sqrt(runs)
    assert np.linalg.norm(error) < 0.25 * np.linalg.norm(wanted)
    assert np.linalg.norm(mean - wanted) < 2.0 * np.linalg.norm(error)


@pytest.mark.parametrize(("two_sided", "most"), [(False, 0.4), (True, 0.08)])
def test_common_random_numbers_take_most_of_the_variance(two_sided: bool, most: float) -> None:
    # Measured at 1,000 trips: .28 of the variance is left one-sided, .02 two-sided.
    runs = 40
    game, theta, response = answer(game_of(travel_time, runs), some_theta(runs))
    spread = []
    for common in (True, False):
        estimator = PerturbedTravel(
            SeenTrips(game.roads, 1_000, np.ones(runs)), np.full(runs, 0.1), two_sided, common
        )
        streams = Streams(list(range(100, 100 + runs)))
        found = estimator.estimate(theta, response, {}, streams)  # type: ignore[arg-type]
        spread.append(float(found.gradient.var(axis=0).sum()))
    assert spread[0] < most * spread[1]


def test_the_same_numbers_make_the_same_trips() -> None:
    game, _, response = answer(game_of(travel_time), some_theta())
    policy = response.reached.policy  # type: ignore[attr-defined]
    sampler = TripSampler(game.roads.network, 500)
    uniforms = sampler.draw(Streams([3])).copy()
    first, again = sampler.follow(policy, uniforms), sampler.sample(policy, Streams([3]))
    np.testing.assert_array_equal(first.links, again.links)
    other = equilibrium(sioux(), np.full((1, 76), 5.0), np.ones(1)).policy
    changed = sampler.follow(other, uniforms)
    np.testing.assert_array_equal(first.origin, changed.origin)
    np.testing.assert_array_equal(first.destination, changed.destination)
    assert len(first.links) != len(changed.links)


def test_payments_leave_half_of_what_an_empty_road_costs() -> None:
    cost, more = np.full((2, 3), 4.0), np.array([[8.0, -20.0, 1.0], [1.0, 2.0, 0.0]])
    np.testing.assert_array_equal(largest_epsilon(cost, more, two_sided=True), [0.1, 1.0])
    np.testing.assert_array_equal(largest_epsilon(cost, more, two_sided=False), [0.1, np.inf])


def test_trips_are_shared_out_and_runs_are_their_own() -> None:
    game, theta, response = answer(game_of(travel_time, 2), some_theta(2))
    both = PerturbedTravel(SeenTrips(game.roads, 100, np.ones(2)), np.array([0.1, 0.3]))
    assert both.trips_each == 33
    found = both.estimate(theta, response, {}, Streams([5, 6]))  # type: ignore[arg-type]
    assert found.env_steps == 99
    one, first, alone = answer(game_of(travel_time), some_theta())
    single = PerturbedTravel(SeenTrips(one.roads, 100, np.ones(1)), np.array([0.3]))
    again = single.estimate(first, alone, {}, Streams([6]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.gradient[1], again.gradient[0])


def test_a_payment_of_nothing_is_refused() -> None:
    for value in (0.0, -0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="of run 0: it must be positive and finite"):
            derivative(lambda epsilon: epsilon[:, None], np.array([value]))
