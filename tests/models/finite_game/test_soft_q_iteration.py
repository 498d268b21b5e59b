from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQFollower,
    SoftQIteration,
    TruncatedSoftQ,
)
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_policies, toy_leader
from tests.models.finite_game.soft_q import (
    BETA,
    GAME,
    LEADER,
    ORDERS,
    best_response,
    iterate,
    soft_max,
    truncated,
)

Floats = NDArray[np.float64]

S, A, B = range(3)


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> Order:
    return request.param  # type: ignore[no-any-return]


def test_reproduces_the_reference_answer_in_the_toy() -> None:
    leader, beta = toy_leader(np.array([0.2])), np.array([0.05])
    game = discrete_toy(1.0)
    follower = SoftQIteration(game, beta, 1e-10, 60, "published")
    answer = follower.respond(leader, follower.start(1))
    value, policy = answer.value[0], answer.policy[0]
    np.testing.assert_allclose(value[S], [57.5633, 57.5633], atol=6e-5)
    np.testing.assert_allclose(value[A], [57.4178, 56.0426], atol=6e-5)
    np.testing.assert_allclose(value[B], [56.9877, 56.9877], atol=6e-5)
    np.testing.assert_allclose(policy[S], np.tile([1e-5, 0.94552, 0.05447], (2, 1)), atol=6e-6)
    np.testing.assert_allclose(policy[A, 0], [1.8e-4, 0.0, 0.99982], atol=6e-6)
    np.testing.assert_allclose(policy[A, 1], [1 / 3, 1 / 3, 1 / 3], atol=1e-12)
    np.testing.assert_allclose(policy[B], np.tile([0.99998, 1e-5, 1e-5], (2, 1)), atol=6e-6)
    follower = replace(follower, order="correct")
    answer = follower.respond(leader, follower.start(1))
    found = answer.value[0][[S, A, A], [0, 0, 1]]
    np.testing.assert_allclose(found, [57.9395, 57.7865, 56.4150], atol=6e-5)
    assert answer.policy[0, S, 0, A] == pytest.approx(0.95310, abs=6e-6)


@pytest.mark.parametrize(
    ("order", "value", "probability"),
    [("published", 60.3181, 0.98180), ("correct", 61.4014, 0.98817)],
)
def test_reproduces_the_second_reference_answer(
    order: Order, value: float, probability: float
) -> None:
    follower = SoftQIteration(discrete_toy(2.0), np.array([0.05]), 1e-10, 60, order)
    answer = follower.respond(toy_leader(np.array([0.5])), follower.start(1))
    assert answer.value[0, S, 0] == pytest.approx(value, abs=6e-5)
    assert answer.policy[0, S, 0, A] == pytest.approx(probability, abs=6e-6)


def test_equals_soft_q_iteration_to_rounding(order: Order) -> None:
    answer = best_response(order)
    for run, beta in enumerate(BETA):
        table = iterate(np.zeros((4, 3, 2)), LEADER[run], beta, order, times=400)  # 0.9^400 = 5e-19
        value = soft_max(table, beta)
        np.testing.assert_allclose(answer.value[run], value, atol=1e-12)
        policy = np.exp((table - value[..., None]) / beta)
        np.testing.assert_allclose(answer.policy[run], policy, atol=1e-11)


def soft_return(policy: Floats, run: int) -> Floats:
    """V(s, a) of any policy, entropy included, by one linear solve for the 12 pairs (s, a)."""
    bonus = GAME.follower_reward - BETA[run] * np.log(policy)
    into = np.einsum("sab,sabt,tc->satc", policy, GAME.transition, LEADER[run]).reshape(12, 12)
    reward = (policy * bonus).sum(axis=2).ravel()
    return np.linalg.solve(np.eye(12) - GAME.follower_discount * into, reward)


def test_the_correct_answer_is_optimal_and_its_value_is_its_return() -> None:
    answer = best_response("correct")
    generator = np.random.default_rng(0)
    for run in range(3):
        optimum = soft_return(answer.policy[run], run)
        np.testing.assert_allclose(answer.value[run].ravel(), optimum, atol=1e-12)
        for _ in range(20):
            tilt = np.exp(0.1 * generator.standard_normal((4, 3, 2)))
            other = answer.policy[run] * tilt
            other /= other.sum(axis=2, keepdims=True)
            assert (soft_return(other, run) < optimum).all()


def test_the_published_order_undervalues() -> None:
    # By Jensen's inequality, strictly unless Q does not depend on the leader's action.
    assert (best_response("published").value < best_response("correct").value - 1e-3).all()


def test_the_orders_agree_if_the_leader_is_deterministic() -> None:
    leader = np.zeros((3, 4, 3))
    leader[:, :, 1] = 1.0
    values = [best_response(order, leader).value for order in ORDERS]
    np.testing.assert_allclose(*values, atol=1e-12)


@pytest.mark.parametrize("tolerance", [10.0, 1e-1, 1e-4, 1e-9])
def test_reported_accuracy_bounds_the_true_error(tolerance: float, order: Order) -> None:
    reference = best_response(order).value
    follower = SoftQIteration(GAME, BETA, tolerance, 60, order)
    answer = follower.respond(LEADER, follower.start(3))
    error = np.abs(answer.value - reference).max(axis=(1, 2))
    assert (error <= answer.accuracy + 1e-12).all()
    assert (answer.accuracy <= tolerance).all()
    if tolerance == 10.0:  # the bound is about something: these are not yet converged
        assert (error > 1e-2).any()


def test_a_cold_leap_in_low_temperature_converges(order: Order) -> None:
    game = discrete_toy(2.0)
    follower = SoftQIteration(game, np.full(5, 1e-3), 1e-9, 60, order)
    leader = toy_leader(np.array([0.0, 0.3, 0.6, 0.9, 1.0]))
    far = 1e3 * np.random.default_rng(0).standard_normal((5, 3))
    values = [follower.respond(leader, start).value for start in (far, follower.start(5))]
    np.testing.assert_allclose(*values, rtol=0.0, atol=2e-9)


def test_a_missed_tolerance_raises_with_the_numbers() -> None:
    follower = SoftQIteration(GAME, BETA, 1e-10, 1)
    expected = r"run \d .* [1-9]\.\d\de[+-]\d+ \(tolerance 1\.00e-10\) after 1 iterations"
    with pytest.raises(NotConverged, match=expected):
        follower.respond(LEADER, follower.start(3))


def test_memory_that_is_no_number_raises() -> None:
    follower = SoftQIteration(GAME, BETA, 1e-10, 60)
    memory = follower.start(3)
    memory[1, 2] = np.nan
    with pytest.raises(NotConverged, match="run 1"):
        follower.respond(LEADER, memory)


def test_a_warm_start_changes_the_work_and_not_the_answer(order: Order) -> None:
    follower = SoftQIteration(GAME, BETA, 1e-10, 60, order)
    memory = follower.start(3)
    follower.respond(LEADER, memory)
    nearby = 0.999 * LEADER + 0.001 / 3
    warm, cold = follower.respond(nearby, memory), follower.respond(nearby, follower.start(3))
    np.testing.assert_allclose(warm.value, cold.value, rtol=0.0, atol=2e-10)
    assert (warm.iterations < cold.iterations).all()
    assert (follower.respond(nearby, memory).iterations == 0).all()


def test_runs_do_not_influence_each_other(order: Order) -> None:
    leader, beta = random_policies(23, 4, 3), np.resize(BETA, 23)
    sweeps = np.arange(23)
    followers = [
        lambda part: SoftQIteration(GAME, beta[part], 1e-10, 60, order),
        lambda part: TruncatedSoftQ(GAME, beta[part], sweeps[part], "reset", order),
    ]
    for make in followers:
        together = make(slice(None))
        streams = Streams(range(23))
        all_runs = together.respond(leader, together.start(23, streams), streams)
        for run in (0, 11, 22):
            part, alone = slice(run, run + 1), Streams([run])
            follower = make(part)
            answer = follower.respond(leader[part], follower.start(1, alone), alone)
            np.testing.assert_array_equal(all_runs.policy[run], answer.policy[0])
            np.testing.assert_array_equal(all_runs.value[run], answer.value[0])
            assert all_runs.accuracy[run] == answer.accuracy[0]
            assert all_runs.iterations[run] == answer.iterations[0]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("temperature", np.array([0.1, 0.0, 0.1]), "temperature must be positive"),
        ("temperature", np.array([0.1, np.nan, 0.1]), "temperature must be positive"),
        ("temperature", np.array(0.1), "one per run"),
        ("order", "wrong", "order.*'wrong'"),
        ("start_from", "zero", "start_from.*'zero'"),
        ("policy_iterations", np.array([1, -1, 1]), "policy_iterations.*-1"),
        ("policy_iterations", np.array([1, 1]), "one per run"),
    ],
)
def test_impossible_fields_are_refused(field: str, value: object, complaint: str) -> None:
    followers = [SoftQIteration(GAME, BETA, 1e-10, 60), truncated([1, 1, 1], "carry")]
    having = [follower for follower in followers if hasattr(follower, field)]
    assert having
    for follower in having:
        with pytest.raises(ValueError, match=complaint):
            replace(follower, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leader", "complaint"),
    [(LEADER[:2], "2 leader policies but 3"), (LEADER[:, :3], "shape"), (2.0 * LEADER, "sum")],
)
def test_impossible_leaders_are_refused(leader: Floats, complaint: str) -> None:
    streams = Streams([0, 1, 2])
    followers: list[SoftQFollower] = [
        SoftQIteration(GAME, BETA, 1e-10, 60), truncated([1, 1, 1], "carry"),
    ]  # fmt: skip
    for follower in followers:
        with pytest.raises(ValueError, match=complaint):
            follower.respond(leader, follower.start(3, streams), streams)
