"""Followers that stop early or answer uniformly once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQFollower,
    SoftQIteration,
    Start,
    UniformFirst,
    optimality_gap,
)
from tests.games import random_policies
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


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> Order:
    return request.param  # type: ignore[no-any-return]


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
    delayed = UniformFirst(follower, GAME, BETA)
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
