"""Leaders of EscapeRoom: exact slopes, what they reach, what coupling is worth, and their bits."""

import numpy as np
import pytest
from pydantic import ValidationError

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context
from bilevelrl.core.entries import registered
from bilevelrl.core.exact import Exact
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.core.validation import ConfigError
from bilevelrl.evaluation.conditions import study_named
from bilevelrl.models.logit_equilibrium.episodes import play
from bilevelrl.problems import registry
from bilevelrl.problems.escape_room import cell
from bilevelrl.problems.escape_room.settings import EscapeRoomBlock, case_of
from bilevelrl.runs.params import read_params
from pipeline.profile import merge

PARAMS = read_params()
FOLLOWERS = FollowerParams(tolerance=1e-12, max_iterations=1, sweeps=1, learner=None)


BLOCK = PARAMS.block("escape_room")
TWO, THREE = (BLOCK.search.rooms[name] for name in ("two_players", "three_players"))


def game_of(room, runs, beta=0.5):
    beta, spread = np.full(runs, beta), np.full(runs, 0.1)
    return cell.make_game(BLOCK.constants, room, FOLLOWERS, beta, spread)


def respond(game, theta):
    streams = Streams(range(len(theta)))
    return game.respond(theta, game.follower_memory(len(theta), streams), streams)


def built(room, estimator, seeds, **entry):
    own = {"variant": "improved", "num_seeds": len(seeds), "first_seed": seeds[0], **entry}
    own = {"players": room.players, "levers_needed": room.levers_needed} | own
    (setting,) = BLOCK.expanded(estimator, own, "test")
    known = registered(BLOCK.estimators, estimator, "improved", "test")
    make = registry.function(BLOCK.kind, known.maker)
    followers = PARAMS.problem("escape_room").followers
    context = Context(BLOCK.constants, followers, BLOCK.training)
    return cell.build(make, [setting] * len(seeds), context)


def trained(room, estimator, seeds, updates, **entry):
    training = built(room, estimator, seeds, num_updates=updates, **entry)
    return train(
        training.game, training.estimator, Streams(list(seeds)), rule=training.rule,
        num_updates=updates, max_rows=min(updates, 10),
    )  # fmt: skip


@pytest.mark.parametrize("room", [TWO, THREE], ids=case_of)
@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_the_exact_hypergradient_is_the_slope_of_the_return(room, beta):
    game = game_of(room, 1, beta)
    draw = np.random.default_rng(3)
    theta = draw.normal(size=(1, game.payments.num_parameters))
    direction = draw.normal(size=theta.shape)

    def returns(at):
        return game.leader_return(at, respond(game, at))[0]

    exact = game.hypergradient(theta, respond(game, theta)).total
    slope = (returns(theta + 1e-5 * direction) - returns(theta - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose((exact * direction).sum(), slope, rtol=1e-6)


#: Rooms with seeds and 95 % of the best known J at β = .5, and how they are climbed here.
BARS = [(TWO, 4, 0.95 * 8.9310), (THREE, 1, 0.95 * 7.9520)]
FAST = {"step_size": 0.3, "step_size_ratio": 1.0}


@pytest.mark.parametrize(("room", "seeds", "bar"), BARS)
def test_exact_ascent_comes_within_5_percent_and_without_coupling_it_does_not(room, seeds, bar):
    ends = {
        name: trained(room, name, range(seeds), 50, **FAST).curves["leader_return"][:, -1]
        for name in ("exact", "exact_uncoupled")
    }
    assert (ends["exact"] > bar).all()
    assert ends["exact_uncoupled"].mean() < bar


@pytest.mark.parametrize(("room", "seeds", "bar"), BARS)
def test_sampled_bc_hg_does_too_and_without_coupling_it_does_not(room, seeds, bar):
    steps = {"env_steps_per_update": 2000 if room is TWO else 10_000}
    found = {
        name: trained(room, name, range(seeds), 60, **steps, **FAST).curves
        for name in ("bc_hg", "uncoupled")
    }
    assert (found["bc_hg"]["leader_return"][:, -1] > bar).all()
    assert found["uncoupled"]["leader_return"][:, -1].mean() < bar
    update, taken = (found["bc_hg"][name][0, -1] for name in ("update", "env_steps"))
    assert taken == steps["env_steps_per_update"] * update


def test_naive_stays_where_it_is_if_payments_cost_nothing():
    found = trained(TWO, "naive", range(2), 3)
    game = built(TWO, "naive", range(2)).game
    theta, _ = game.start(Streams(range(2)))
    np.testing.assert_array_equal(found.theta, theta)


def test_naive_estimates_what_payments_cost():
    training = built(TWO, "naive", range(1), env_steps_per_update=200_000)
    priced = type(training.game.payments)(
        *(getattr(training.game.payments, name) for name in ("player", "state", "action")),
        2.0, cost=0.5,
    )  # fmt: skip
    game = type(training.game)(
        training.game.game, priced, training.game.temperature, training.game.initial_spread
    )
    estimator = type(training.estimator)(
        training.estimator.sizes, priced, training.estimator.temperature, 40_000, None
    )
    theta, _ = game.start(Streams([0]))
    answer = respond(game, theta)
    found = estimator.estimate(theta, answer, {}, Streams([0]))
    np.testing.assert_allclose(found.direct, game.hypergradient(theta, answer).direct, atol=2e-3)
    assert not found.indirect.any()
    np.testing.assert_allclose(
        found.leader_return_sampled, game.leader_return(theta, answer), atol=0.05
    )


@pytest.mark.parametrize("estimator", ["bc_hg", "uncoupled", "zero_order"])
def test_a_run_does_not_depend_on_the_batch(estimator):
    entry = {"radius": 0.1} if estimator == "zero_order" else {"env_steps_per_update": 200}
    together = trained(TWO, estimator, [3, 4, 5], 3, **entry)
    alone = trained(TWO, estimator, [4], 3, **entry)
    assert together.theta[1].tobytes() == alone.theta[0].tobytes()


def test_ground_truth_and_coordinates_are_those_of_the_answer():
    game = game_of(TWO, 2)
    theta, _ = game.start(Streams([0, 1]))
    answer = respond(game, theta)
    truth = game.ground_truth(theta, answer)
    exact = Exact(game).estimate(theta, answer, {}, Streams([0, 1])).gradient
    np.testing.assert_array_equal(truth.hypergradient, exact)
    np.testing.assert_array_equal(truth.leader_return_optimal, game.optimal_return(theta))
    shown = game.coordinates(theta, answer)
    assert (np.abs(shown["uncoupled_cosine"]) <= 1.0).all()
    assert (shown["coupling_radius"] > 1.0).all()
    assert ((shown["steps"] >= 1.0) & (shown["steps"] <= 5.0)).all()
    # A pull of a step pays less than 2, and a player pulls once a step.
    assert ((shown["payment"] > 0.0) & (shown["payment"] < 4.0 * shown["steps"])).all()


def test_a_room_in_which_nobody_searches_is_refused():
    with pytest.raises(ConfigError, match=r"= \(3, 1\): allowed are .*, \[\(2, 1\), \(3, 2\)\]"):
        built(TWO, "exact", range(1), players=3)


def test_rooms_are_told_apart_in_the_main_comparison():
    found = {
        name: [
            (each.conditions(BLOCK.shared()), each.roles)
            for each in PARAMS.settings("escape_room", name)
        ]
        for name in BLOCK.cells
    }
    for told in found.values():
        assert [(own["players"], own["levers"]) for own, _ in told] == [(2, 1), (3, 2)]
        assert {study_named(own, roles) for own, roles in told} == {"main"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": {"rooms": {"twice": TWO.model_dump()}}}, "has a room twice"),
        ({"gradients": {"players": 4}}, "players=4;levers=1: allowed are search.rooms"),
        ({"search": {"rooms": {"two_players": {"levers_needed": 2}}}}, "fewer must pull"),
        ({"search": {"rooms": {"two_players": {"players": 6}}}}, "allowed are 2 to 5 players"),
    ],
)
def test_impossible_rooms_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        EscapeRoomBlock.model_validate(merge(BLOCK.model_dump(), change))


@pytest.mark.parametrize("estimator", ["bc_hg", "uncoupled", "naive"])
def test_the_same_episodes_tell_the_same_wherever_they_come_from(estimator):
    own = built(TWO, estimator, range(2), env_steps_per_update=500)
    theta, _ = own.game.start(Streams(range(2)))
    episodes = play(respond(own.game, theta).reached, 100, Streams(range(2)))
    constants = BLOCK.constants.model_copy(update={"door_reward": 3.0, "move_cost": 2.0})
    entry = {"variant": "improved", "env_steps_per_update": 500}
    (setting,) = BLOCK.expanded(estimator, entry, "test")
    known = registered(BLOCK.estimators, estimator, "improved", "test")
    make = registry.function(BLOCK.kind, known.maker)
    context = Context(constants, PARAMS.problem("escape_room").followers, BLOCK.training)
    elsewhere = cell.build(make, [setting] * 2, context).estimator
    found, expected = (each.learn(theta, episodes) for each in (elsewhere, own.estimator))
    for name in ("direct", "indirect", "leader_return_sampled"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
