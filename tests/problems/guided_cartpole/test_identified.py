"""A leader of the guided cart-pole that identifies its model: what it learns, and from what."""

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.seeding import Streams
from bilevelrl.models.deep.game import AgentResponse
from bilevelrl.problems.guided_cartpole.game import CartPoleSampler
from bilevelrl.problems.guided_cartpole.identified import IdentifiedBelief, IdentifiedMechanics
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.hypergradient import planned
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.planning_leader import PlanningLeader
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout

PROBLEM = GuidedCartPole()
WINDS = np.array([-0.5, 0.0, 0.5])
POLICY = ModulePolicy(4, 3, (8,))
BETA, GAMMA = 0.2, 0.99
GRID = GridParams(
    kind="grid", positions=15, speeds=7, top_speed=1.6, angles=13, rotations=15,
    top_rotation=1.75, pushes=5, tolerance=0.02,
)  # fmt: skip


def leader(most_surprise: float | None = 1.0) -> PlanningLeader:
    return PlanningLeader(POLICY, WINDS, np.full(1, BETA), (GAMMA, GAMMA), 200, GRID, most_surprise)


@cache
def planner() -> Planner:
    """With the true dynamics."""
    return Planner(TrueMechanics(PROBLEM), POLICY, WINDS, GRID)


@cache
def theta() -> Floats:
    """Of a leader at the start, shape (1, D)."""
    first: Floats = POLICY.initial_parameters(Streams([0]))
    return first


@cache
def follower() -> PlannedPlayer:
    """The best response to it."""
    value = best_response(planner(), theta()[0], BETA, GAMMA).value
    return PlannedPlayer(planner(), value, BETA, GAMMA)


@cache
def batch() -> CartPoleBatch:
    """20 episodes of both."""
    sampler = CartPoleSampler(CartPoleRollout(PROBLEM, POLICY, WINDS), 20)
    response = AgentResponse([follower()], 0)
    return sampler.observe(theta(), response, Streams([3]), at_random=False)


def seen_by_a_leader(
    seen: CartPoleBatch, most_surprise: float | None = 1.0
) -> tuple[IdentifiedMechanics, Estimate]:
    """The model that it makes of a batch, and what it plans in that."""
    belief, own, streams = IdentifiedBelief(WINDS, 200), leader(most_surprise), Streams([3])
    memory = belief.start(streams) | own.start(streams)
    (found,) = belief.learn(theta(), seen, memory)
    return found, own.learn(theta(), [found], seen, memory, streams)


@cache
def learned(most_surprise: float | None = 1.0) -> tuple[IdentifiedMechanics, Estimate]:
    """The same, of the batch above."""
    return seen_by_a_leader(batch(), most_surprise)


def model() -> IdentifiedMechanics:
    return learned()[0]


def test_dynamics_are_found() -> None:
    truth, rng = TrueMechanics(PROBLEM), np.random.default_rng(4)
    speed, rotation, angle = rng.uniform(-1.0, 1.0, (3, 500)) * [[1.0], [1.0], [0.15]]
    wind, push = rng.choice(WINDS, 500), rng.uniform(-1.0, 1.0, 500)
    for found, wanted in zip(model().drift(speed, rotation), truth.drift(speed, rotation),
                             strict=True):  # fmt: skip
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    found, wanted = (each.kick(angle, rotation, wind, push) for each in (model(), truth))
    for mine, own in zip(found, wanted, strict=True):
        assert np.abs(mine - own).max() < 1e-3 * np.abs(own).max()


def test_what_is_paid_is_found_where_the_cart_has_been() -> None:
    reached = np.sort(batch().next_state[0][batch().alive[0], 0])
    inside = np.linspace(reached[0], reached[-1], 400)
    far = np.minimum(np.abs(inside - PROBLEM.goal[0]), np.abs(inside - PROBLEM.goal[1])) > 0.02
    known = np.abs(inside[:, None] - reached).min(axis=1) < 0.02
    wanted = PROBLEM.leader_reward(inside[:, None])
    np.testing.assert_array_equal(model().leader_reward(inside)[far & known], wanted[far & known])
    assert (model().leader_reward(np.array([-3.9, 3.9])) == 0.0).all()
    assert model().follower_reward == 1.0


def test_limits_are_between_what_was_survived_and_what_was_not() -> None:
    fell, alive = batch().terminated[0], batch().alive[0]
    assert fell.any()
    reached = np.abs(batch().next_state[0])
    survived = reached[alive & ~fell].max(axis=0)
    assert survived[2] <= model().angle_limit <= 1.1 * PROBLEM.angle_limit
    assert model().limit >= survived[0]
    states, weights = model().starts
    np.testing.assert_array_equal(states, batch().state[0][::200])
    assert weights.sum() == pytest.approx(1.0)


def test_the_estimate_is_nearly_the_hypergradient() -> None:
    answer = best_response(planner(), theta()[0], BETA, GAMMA)
    exact = planned(planner(), theta()[0], answer, BETA, (GAMMA, GAMMA), 200)
    estimate = learned()[1]
    for found, wanted in (
        (estimate.direct[0], exact.direct),
        (estimate.indirect[0], exact.indirect),
    ):
        assert found @ wanted > 0.8 * np.linalg.norm(found) * np.linalg.norm(wanted)
    assert estimate.env_steps == 4000
    assert estimate.leader_return_sampled.shape == (1,)


def test_followers_that_contradict_the_plan_are_not_trusted() -> None:
    # This one plays the plan, and its choices surprise nobody.
    alive = batch().alive[0]
    seen = np.concatenate(
        [batch().state[0] / [1.0, 1.0, 0.2, 1.0], WINDS[batch().leader_action[0]][:, None]], axis=1
    )[alive]
    push = batch().follower_action[0][alive]
    assert abs(follower().surprise(seen, push)) < 0.1
    assert follower().surprise(seen, -push) > 1.0
    exact, none = learned()[1], learned(None)[1]
    assert (none.indirect == 0.0).all()
    np.testing.assert_array_equal(none.direct, exact.direct)
    own, player = leader(), PlannedPlayer(planner(), follower().value, BETA, GAMMA)
    assert own._trust(batch(), 0, player) == 1.0
    assert own._trust(replace(batch(), follower_action=-batch().follower_action), 0, player) == 0.0


def test_constants_of_the_problem_are_not_read() -> None:
    # Nothing that a leader is made of knows them: another problem's data give another model.
    heavier = GuidedCartPole(**asdict(PROBLEM) | {"wind": 10.0})
    rollout = CartPoleRollout(heavier, POLICY, WINDS)
    seen = CartPoleSampler(rollout, 20).observe(
        theta(), AgentResponse([follower()], 0), Streams([3]), at_random=False
    )
    calm, upright = np.zeros(1), np.zeros(1)
    blown = seen_by_a_leader(seen)[0].kick(upright, calm, np.full(1, 0.5), calm)[1]
    assert blown[0] == pytest.approx(10.0 * 0.5 * 0.02, rel=1e-2)
