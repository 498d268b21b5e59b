"""The game on the grid: its gradient, and what it says of the problem itself."""

from functools import cache

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import discounted_return
from bilevelrl.problems.guided_cartpole.planning.best_response import BestResponse, best_response
from bilevelrl.problems.guided_cartpole.planning.hypergradient import occupancy_of, planned
from bilevelrl.problems.guided_cartpole.planning.interpolation import safe
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.planning.reference import Reference
from bilevelrl.problems.guided_cartpole.rollout import CartPoleRollout
from bilevelrl.runs.params import read_params
from tests.problems.guided_cartpole.small_grid import (
    BETA,
    HORIZON,
    PROBLEM,
    WINDS,
    leader,
    planner,
)

GAMMA = 0.99
SHIPPED = read_params().block("guided_cartpole").training.reference  # type: ignore[attr-defined]


@cache
def response() -> BestResponse:
    """The best response to it."""
    return best_response(planner(), leader(), BETA, GAMMA)


def guiding() -> Floats:
    """A leader that blows towards the goal, the more the further away, made by hand."""
    first, last = np.zeros((8, 4)), np.zeros((3, 8))
    first[0, :2] = -2.0, -0.6  # of x and ẋ
    last[:, 0] = -1.0, 0.0, 1.0
    offset = np.zeros(8)
    offset[0] = 1.0  # 2 · .5 m
    return np.concatenate([first.ravel(), offset, last.ravel(), np.zeros(3)])


def returned(theta: Floats) -> float:
    """J on the grid, the follower at its best."""
    answer = best_response(planner(), theta, BETA, GAMMA, response().value)
    return planned(planner(), theta, answer, BETA, (GAMMA, GAMMA), HORIZON).leader_return


def test_the_gradient_is_that_of_j_on_the_grid() -> None:
    found = planned(planner(), leader(), response(), BETA, (GAMMA, GAMMA), HORIZON)
    exact = found.direct + found.indirect
    directions = np.random.default_rng(2).standard_normal((4, len(exact)))
    directions[0] = exact
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radius = 0.02
    slopes = [
        (returned(leader() + radius * along) - returned(leader() - radius * along)) / (2 * radius)
        for along in directions
    ]
    np.testing.assert_allclose(directions @ exact, slopes, atol=0.01 * np.linalg.norm(exact))
    # Neither term alone would pass.
    assert min(np.linalg.norm(found.direct), np.linalg.norm(found.indirect)) > 0.1


def test_both_terms_are_exact_where_they_nearly_cancel() -> None:
    asked = planner(), leader(), response(), BETA, (GAMMA, GAMMA), 200
    shipped, tight = planned(*asked), planned(*asked, accuracy=1e-7, sweeps=400)
    off = np.linalg.norm(shipped.indirect - tight.indirect)
    norm = np.linalg.norm(tight.direct + tight.indirect)
    assert norm < 0.5 * np.linalg.norm(tight.indirect)
    assert off < 0.005 * norm


def test_a_plan_without_the_indirect_term_has_the_same_direct_one() -> None:
    both = planned(planner(), leader(), response(), BETA, (GAMMA, GAMMA), HORIZON)
    one = planned(planner(), leader(), response(), BETA, (GAMMA, GAMMA), HORIZON, indirect=False)
    assert (one.direct == both.direct).all()
    assert (one.indirect == 0.0).all()
    assert one.leader_return == both.leader_return


def test_mass_goes_where_values_are_expected() -> None:
    own, rng = planner(), np.random.default_rng(3)
    value, mass = rng.standard_normal((2, *own.blocks, own.size)).astype(np.float32)
    expected = own.expected(value, response().chain)
    pushed = own.pushed(mass, response().chain)
    assert np.vdot(expected, mass) == pytest.approx(float(np.vdot(value, pushed)), rel=1e-3)


def test_steps_lead_where_the_problem_does() -> None:
    # Interpolation is exact for constants, and for x: the mean of x' is the x' of every step.
    own = planner()
    # Where the cap of v_F holds nothing goes on; there are few such states, and nobody gets there.
    goes_on = own.grid.geometry.alive.astype(np.bool_)
    alive = goes_on & response().chain.any(axis=2)
    assert alive.sum() > 0.98 * goes_on.sum()
    met = occupancy_of(own, response().chain, HORIZON)[0].sum(axis=0)
    assert abs(met[goes_on & ~alive]).sum() < 1e-4 * met.sum()
    ones = np.ones((*own.blocks, own.size), np.float32)
    total = own.expected(ones, response().chain)
    np.testing.assert_allclose(total[alive], 1.0, atol=1e-5)
    position, speed = own.grid.states.T[:2].reshape(2, *own.blocks, own.size)
    ahead = own.expected(position.astype(np.float32), response().chain)
    wanted = position + PROBLEM.time_step * speed
    np.testing.assert_allclose(ahead[alive], wanted[alive], atol=1e-5)


def test_only_poles_that_can_be_held_up_are_safe() -> None:
    angles, rotations = np.array([-0.1, 0.0, 0.1, 0.15]), np.array([-1.0, 0.0, 1.0])
    held = safe(TrueMechanics(PROBLEM), WINDS, angles, rotations)
    assert held[1].tolist() == [False, True, False]
    slowly = safe(TrueMechanics(PROBLEM), WINDS, angles, 0.4 * rotations)
    assert slowly.tolist() == [
        [False, True, True],  # leans to the left, and falls further or comes back
        [True, True, True],
        [True, True, False],
        [True, True, False],
    ]
    storm = safe(TrueMechanics(PROBLEM), np.array([-1.0, 1.0]), angles, rotations)
    assert not storm.any()  # no push is as strong


@pytest.fixture(scope="module")
def shipped() -> Reference:
    """As the pipeline has it, with more episodes."""
    rng = np.random.default_rng(4)
    own = planner(SHIPPED)
    rollout = CartPoleRollout(PROBLEM, own.policy, WINDS)
    return Reference(rollout, own, rng.random((300, 204)), rng.standard_normal((300, 200)))


def test_the_grid_agrees_with_simulation(shipped: Reference) -> None:
    found = shipped.answer(0, guiding(), BETA)
    assert found.leader_return > 40.0
    assert found.planned.leader_return == pytest.approx(found.leader_return, abs=2.5)
    # The grid's value goes on after the last step.
    most = (1.0 + BETA * np.log(2.0)) / (1.0 - GAMMA)
    assert found.soft_return < found.planned.follower_value < most


def test_the_best_response_has_no_gap_and_others_have(shipped: Reference) -> None:
    best = shipped.answer(0, leader(), BETA).player
    blind = PlannedPlayer(best.planner, np.zeros_like(best.value), BETA, GAMMA)
    truth = shipped.truth(np.stack([leader()] * 2), np.full(2, BETA), [best, blind])
    assert truth.follower_value_gap[0] == 0.0
    assert truth.follower_kl[0] == pytest.approx(0.0, abs=1e-9)
    assert truth.follower_value_gap[1] > 10.0
    assert truth.follower_kl[1] > 1.0
    assert (truth.hypergradient[0] == truth.hypergradient[1]).all()


def test_what_was_asked_before_changes_nothing(shipped: Reference) -> None:
    first = shipped.leader_return(leader()[None], np.full(1, BETA))
    shipped.leader_return(0.5 * leader()[None], np.full(1, BETA))
    fresh = Reference(shipped.rollout, planner(SHIPPED), shipped.uniforms, shipped.normals)
    assert fresh.leader_return(leader()[None], np.full(1, BETA)) == first


def test_a_planned_player_draws_from_its_density() -> None:
    player = PlannedPlayer(planner(), response().value, BETA, GAMMA)
    seen = np.tile([0.2, 0.1, 0.3, -0.4, 0.5], (4000, 1))
    normals = np.random.default_rng(5).standard_normal((4000, 1))
    action, density = player.act(seen, normals)
    assert (np.abs(action) <= 1.0).all()
    np.testing.assert_allclose(player.log_density(seen, action), density, rtol=1e-9)
    edges = np.concatenate([[-1.0], -1.0 + np.cumsum(planner().grid.push_weight)])
    share = np.histogram(action[:, 0], edges)[0] / len(action)
    np.testing.assert_allclose(share, player.probabilities(seen[:1])[0], atol=0.03)


def test_j_is_that_of_the_problem_without_a_follower_to_speak_of(shipped: Reference) -> None:
    # A leader that never blows: J of the follower's own doing, against a plain simulation.
    still = np.zeros_like(leader())
    still[-2] = 30.0
    found = shipped.answer(0, still, BETA)
    batch = shipped.rollout.play(still[None], [found.player], [shipped.uniforms], [shipped.normals])
    assert (batch.leader_action == 1)[batch.alive].all()
    assert found.leader_return == discounted_return(batch.leader_reward, 200, GAMMA)[0]
