from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse, NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQFollower,
    SoftQIteration,
    Start,
    TruncatedSoftQ,
    UniformFirst,
    optimality_gap,
)
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_game, random_policies, toy_leader

Floats = NDArray[np.float64]
GAME = random_game()
LEADER = random_policies(3, 4, 3)
BETA = np.array([0.05, 0.4, 2.0])
ORDERS: list[Order] = ["correct", "published"]
S, A, B = range(3)


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> Order:
    return request.param  # type: ignore[no-any-return]


def best_response(order: Order, leader: Floats = LEADER, game: MarkovGame = GAME) -> BestResponse:
    follower = SoftQIteration(game, np.resize(BETA, len(leader)), 1e-11, 60, order)
    return follower.respond(leader, follower.start(len(leader)))


def soft_max(x: Floats, beta: float) -> Floats:
    return beta * np.logaddexp.reduce(x / beta, axis=-1)


def sweep(table: Floats, leader: Floats, beta: float, order: Order) -> Floats:
    """One synchronous sweep of soft Q iteration, one run."""
    if order == "correct":
        value = (leader * soft_max(table, beta)).sum(axis=1)
    else:
        value = soft_max((leader[:, :, None] * table).sum(axis=1), beta)
    return GAME.follower_reward + GAME.follower_discount * GAME.transition @ value


def iterate(table: Floats, leader: Floats, beta: float, order: Order, times: int) -> Floats:
    for _ in range(times):
        table = sweep(table, leader, beta, order)
    return table


def truncated(sweeps: list[int], start_from: Start, order: Order = "correct") -> TruncatedSoftQ:
    return TruncatedSoftQ(GAME, BETA, np.array(sweeps), start_from, order)


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


def test_truncation_counts_sweeps_and_carries_the_table(order: Order) -> None:
    follower, streams = truncated([0, 1, 5], "carry", order), Streams([0, 1, 2])
    memory = follower.start(3, streams)
    other = random_policies(3, 4, 3, seed=9)
    tables = np.zeros((3, 4, 3, 2))
    for leader in (LEADER, other):
        answer = follower.respond(leader, memory, streams)
        for run, times in enumerate((0, 1, 5)):
            tables[run] = iterate(tables[run], leader[run], BETA[run], order, times)
            value = soft_max(tables[run], BETA[run])
            policy = np.exp((tables[run] - value[..., None]) / BETA[run])
            np.testing.assert_allclose(memory[run], tables[run], atol=1e-13)
            np.testing.assert_allclose(answer.value[run], value, atol=1e-13)
            np.testing.assert_allclose(answer.policy[run], policy, atol=1e-12)
    np.testing.assert_array_equal(answer.iterations, [0, 1, 5])


def test_reset_starts_every_answer_from_new_noise(order: Order) -> None:
    follower = truncated([0, 2, 2], "reset", order)
    used, drawn = Streams([4, 5, 6]), Streams([4, 5, 6])
    memory = follower.start(3, used)
    for _ in range(2):
        follower.respond(LEADER, memory, used)
        noise = drawn.normals("follower", (4, 3, 2))
        np.testing.assert_array_equal(memory[0], noise[0])
        for run in (1, 2):
            expected = iterate(noise[run], LEADER[run], BETA[run], order, 2)
            np.testing.assert_allclose(memory[run], expected, atol=1e-13)


@pytest.mark.parametrize("start_from", ["carry", "reset"])
def test_many_sweeps_approach_the_best_response(start_from: Start, order: Order) -> None:
    exact, streams = best_response(order), Streams([0, 1, 2])
    gaps, errors = list[Floats](), list[Floats]()
    for sweeps in (1, 20, 400):
        follower = truncated([sweeps] * 3, start_from, order)
        answer = follower.respond(LEADER, follower.start(3, streams), streams)
        errors.append(np.abs(answer.value - exact.value).max(axis=(1, 2)))
        gaps.append(optimality_gap(answer.policy, exact.policy))
        assert (errors[-1] <= answer.accuracy + 1e-11).all()
    assert (errors[0] > 1e-2).all()
    assert (np.diff(errors, axis=0) < 0.0).all()
    assert (errors[-1] < 1e-11).all()
    assert (gaps[0] > 1e-6).all()
    assert (np.abs(gaps[-1]) < 1e-10).all()


def test_the_gap_is_the_mean_divergence_with_guarded_logarithms() -> None:
    policy, optimal = np.full((2, 4, 3, 2), 0.5), np.full((2, 4, 3, 2), 0.5)
    optimal[1, 0, 0] = [0.75, 0.25]
    optimal[1, 3, 2] = [1.0, 0.0]
    expected = np.log(2.0) - 0.5 * np.log(3.0)
    guarded = np.log(0.5 + 1e-10) - 0.5 * np.log(1e-10) - 0.5 * np.log(1.0 + 1e-10)
    found = optimality_gap(policy, optimal)
    np.testing.assert_allclose(found, [0.0, (expected + guarded) / 12.0], atol=1e-10)


@pytest.mark.parametrize(
    "follower",
    [SoftQIteration(GAME, BETA, 1e-10, 60), truncated([1, 2, 3], "carry"),
     truncated([1, 2, 3], "reset")],
)  # fmt: skip
def test_uniform_first_delays_the_follower_by_one_answer(follower: SoftQFollower) -> None:
    delayed = UniformFirst(follower)
    streams, others = Streams([0, 1, 2]), Streams([0, 1, 2])
    memory, reference = delayed.start(3, streams), follower.start(3, others)
    first = delayed.respond(LEADER, memory, streams)
    np.testing.assert_array_equal(first.policy, np.full((3, 4, 3, 2), 0.5))
    np.testing.assert_array_equal(first.value, np.zeros((3, 4, 3)))
    assert (np.abs(best_response("correct").value).max(axis=(1, 2)) <= first.accuracy).all()
    for leader in (LEADER, random_policies(3, 4, 3, seed=9)):
        later = delayed.respond(leader, memory, streams)
        expected = follower.respond(leader, reference, others)
        np.testing.assert_array_equal(later.policy, expected.policy)
        np.testing.assert_array_equal(later.value, expected.value)
    assert delayed.game is GAME
    assert delayed.temperature is BETA


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
