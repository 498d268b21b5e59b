"""A leader that identifies FourRooms from what it sees."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.observations import Information
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.game import TabularGame, TabularSampler
from bilevelrl.models.tabular.identified import leader as leaders
from bilevelrl.models.tabular.identified.experience import (
    Experience,
    experience_of,
    nothing_seen,
)
from bilevelrl.models.tabular.identified.game import IdentifiedProblem
from bilevelrl.models.tabular.identified.leader import IdentifiedLeader
from bilevelrl.models.tabular.identified.search import Pool, follower_of, hypergradient
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

ROOMS = FourRooms()
SHAPE = (ROOMS.num_states, 4)
BEST = 0.4875  # J of the corrected kernel at β = .003, results/exact_ascent.csv
SEEDS = (61_000, 61_001)


def leader(num_runs: int) -> IdentifiedLeader:
    return IdentifiedLeader(ROOMS.influence, SHAPE, np.full(num_runs, 0.003), ROOMS.discount)


def trained(
    seeds: Sequence[int], *, information: Information = "actions", num_updates: int = 20
) -> Trained:
    runs = len(seeds)
    exact = SoftPolicyIteration(ROOMS.planner, np.full(runs, 0.003), 1e-9, 500)
    game = TabularGame(ROOMS, exact, exact, np.full(runs, 0.01))
    sampler = TabularSampler(ROOMS, Rollout(ROOMS.simulator, 2, 200, 200), information)
    rule = GradientAscent(np.full(runs, 0.1), 1.0)
    return train(
        game, Sampled(sampler, leader(runs)), Streams(list(seeds)), rule=rule,
        num_updates=num_updates, max_rows=num_updates,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both() -> Trained:
    return trained(SEEDS)


def test_it_comes_near_the_optimum_within_8000_transitions(both: Trained) -> None:
    assert (both.curves["leader_return"][:, -1] > 0.8 * BEST).all()


def test_runs_do_not_depend_on_their_company(both: Trained) -> None:
    alone = trained(SEEDS[1:])
    np.testing.assert_array_equal(alone.theta[0], both.theta[1])
    for name, values in alone.curves.items():
        np.testing.assert_array_equal(values[0], both.curves[name][1], err_msg=name)


def test_what_is_recommended_is_not_what_is_played(both: Trained) -> None:
    curves = both.curves
    assert (curves["leader_return"] != curves["played_return"]).any()
    # One that does not know yet recommends to do nothing, and what it plays costs it.
    np.testing.assert_allclose(curves["leader_return"][:, 1], 0.0, atol=1e-3)
    assert (curves["played_return"][:, 1] < 0.0).all()


def test_nothing_is_estimated_before_anything_is_identified(both: Trained) -> None:
    for cosine in both.curves["cosine"]:
        assert cosine[1] == 0.0
        assert (cosine[-3:] != 0.0).all()


def test_the_hypergradient_of_a_true_model_is_the_true_one() -> None:
    theta = 2.0 * np.random.default_rng(8).standard_normal((3, ROOMS.num_parameters))
    nothing = ROOMS.influence.spread(np.zeros((1, ROOMS.num_states)), 500.0)
    problem = IdentifiedProblem(
        ROOMS.planner,
        ROOMS.influence,
        ROOMS.follower_reward(nothing)[0],
        ROOMS.leader_reward(nothing)[0],
    )
    found = hypergradient(problem, theta, 0.003)
    follower = SoftPolicyIteration(ROOMS.planner, np.full(3, 0.003), 1e-9, 500)
    policy = follower.respond(ROOMS.follower_reward(theta), follower.start(3)).policy
    truth = exact_hypergradient(ROOMS, theta, policy, follower.temperature)
    np.testing.assert_allclose(found.leader_return, truth.leader_return, rtol=1e-5)
    np.testing.assert_allclose(found.total, truth.total, rtol=1e-3, atol=1e-6)


class Locked:
    """What a leader must not look at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"read {name} of what only the follower knows")


def test_only_observations_are_read() -> None:
    exact = SoftPolicyIteration(ROOMS.planner, np.full(1, 0.003), 1e-9, 500)
    streams = Streams([7])
    own = leader(1)
    memory = own.start(streams)
    theta: Floats = np.zeros((1, ROOMS.num_parameters))
    sampler = TabularSampler(ROOMS, Rollout(ROOMS.simulator, 5, 200, 200), "rewards")
    for _ in range(12):
        answer = exact.respond(ROOMS.follower_reward(theta), exact.start(1))
        seen = sampler.observe(theta, answer, streams, at_random=False)
        estimate = own.learn(theta, Locked(), seen, memory, streams)
        assert estimate.proposal is not None
        theta = estimate.proposal
    assert memory["planned"][0, 0] > 0.0


def test_rewards_that_are_seen_are_not_guessed() -> None:
    found = trained(SEEDS[:1], information="rewards")
    assert found.curves["leader_return"][0, -1] > 0.8 * BEST


def test_a_leader_that_sees_no_reward_of_its_own_goes_on_looking() -> None:
    own, streams = leader(1), Streams([7])
    memory = own.start(streams)
    theta: Floats = np.zeros((1, ROOMS.num_parameters))
    exact = SoftPolicyIteration(ROOMS.planner, np.full(1, 0.003), 1e-9, 500)
    sampler = TabularSampler(ROOMS, Rollout(ROOMS.simulator, 5, 200, 200), "actions")
    answer = exact.respond(ROOMS.follower_reward(theta), exact.start(1))
    seen = sampler.observe(theta, answer, streams, at_random=False)
    nothing = replace(seen, leader_reward=ROOMS.influence.leader_part(theta)[
        np.zeros_like(seen.state), seen.state, seen.action
    ])  # fmt: skip
    estimate = own.learn(theta, None, nothing, memory, streams)
    assert memory["planned"][0, 0] == 0.0
    assert estimate.proposal is not None
    # It acts where the follower was most, but where episodes start or end.
    where = int(estimate.proposal[0, :-1].argmax())
    assert where in set(seen.state.ravel().tolist()) - {ROOMS.start, ROOMS.goal}


DOOR = ROOMS.cells.index((3, 6))


def acting_on(state: int, kept: float) -> Floats:
    return ROOMS.influence.spread(9.0 * np.eye(SHAPE[0])[[state]], kept)[0]


def who_did_nothing(policy: Floats) -> Experience:
    """After 300 tries of every action everywhere, and choices by π, shape (S, A)."""
    own = experience_of(nothing_seen(1, SHAPE, ROOMS.num_parameters), 0)
    nothing = ROOMS.influence.spread(np.zeros((1, SHAPE[0])), leaders.NOTHING)
    own.turn_to(nothing[0], ROOMS.influence.follower_part(nothing)[0])
    own.moves[:] = 300.0 * ROOMS.simulator.transition
    own.ends[ROOMS.goal] = own.starts[ROOMS.start] = 1.0
    own.follower_rest[ROOMS.goal] = own.leader_rest[ROOMS.target] = 300.0
    own.times[-1] = 1200.0 * policy
    return own


def test_what_the_follower_never_did_it_may_do_once_it_is_fined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the start it goes up while nothing is charged, and down if the upper door costs enough."""
    beta, down = 0.001, 2
    nothing = ROOMS.influence.spread(np.zeros((1, SHAPE[0])), leaders.NOTHING)[0]
    theta = np.stack([nothing, acting_on(DOOR, 0.0)])
    follower = SoftPolicyIteration(ROOMS.planner, np.full(2, beta), 1e-9, 500)
    policy = follower.respond(ROOMS.follower_reward(theta), follower.start(2)).policy
    assert policy[0, ROOMS.start, down] < 1e-3 < 0.8 < policy[1, ROOMS.start, down]
    own, models = who_did_nothing(policy[0]), []
    own.moves[ROOMS.start, down] = 0.0

    def nothing_found(model: IdentifiedProblem, *_: object) -> Pool:
        models.append(model)
        return Pool(theta[:1], np.zeros(1))

    monkeypatch.setattr(leaders, "search", nothing_found)
    leader(1)._plan(own, beta)
    believed = follower_of(models[0], beta, 2)
    foreseen = believed.respond(models[0].follower_reward(theta), believed.start(2)).policy
    np.testing.assert_allclose(
        foreseen[:, ROOMS.start, down], policy[:, ROOMS.start, down], atol=0.1
    )


def test_a_candidate_is_recommended_once_it_was_played(monkeypatch: pytest.MonkeyPatch) -> None:
    beta = 0.003
    theta = np.stack([acting_on(DOOR, 8.0), acting_on(ROOMS.start, 0.0)])
    follower = SoftPolicyIteration(ROOMS.planner, np.full(1, beta), 1e-9, 500)
    nothing = ROOMS.influence.spread(np.zeros((1, SHAPE[0])), leaders.NOTHING)
    answer = follower.respond(ROOMS.follower_reward(nothing), follower.start(1))
    own = who_did_nothing(answer.policy[0])
    monkeypatch.setattr(leaders, "search", lambda *_: Pool(theta[:1], np.array([0.2])))
    monkeypatch.setattr(leaders, "refine", lambda *_: Pool(theta[:1], np.array([0.2])))
    leader(1)._plan(own, beta)
    np.testing.assert_array_equal(own.playing, theta[0])
    np.testing.assert_array_equal(own.recommended, nothing[0])
    for played, best in ((theta[1], nothing[0]), (theta[0], theta[0]), (theta[1], theta[0])):
        own.turn_to(played, ROOMS.influence.follower_part(played[None])[0])
        leader(1)._plan(own, beta)
        np.testing.assert_array_equal(own.recommended, best)


@pytest.mark.parametrize(
    ("transitions", "refined", "searches"),
    [
        (1500.0, 0.4, False), (1500.0, 0.6, False), (2000.0, 0.5, True),
        (1500.0, 0.3, True), (1500.0, 0.7, True), (1500.0, -0.5, True),
    ],
)  # fmt: skip
def test_it_searches_again_with_twice_the_transitions_or_when_surprised(
    monkeypatch: pytest.MonkeyPatch, transitions: float, refined: float, searches: bool
) -> None:
    theta = np.zeros((1, 3))
    monkeypatch.setattr(leaders, "refine", lambda *_: Pool(theta, np.array([refined])))
    monkeypatch.setattr(leaders, "search", lambda *_: Pool(theta, np.array([0.45])))
    own = experience_of(nothing_seen(1, SHAPE, 3), 0)
    own.moves[0, 0, 0], own.searched[0], own.promised[0] = transitions, 1000.0, 0.5
    found = IdentifiedLeader._found(own, None, theta, 0.003)  # type: ignore[arg-type]
    assert found.predicted[0] == (0.45 if searches else refined)
    assert own.searched[0] == (transitions if searches else 1000.0)
    assert own.promised[0] == (0.45 if searches else 0.5)
