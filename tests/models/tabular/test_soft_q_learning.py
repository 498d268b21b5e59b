"""Soft Q-learning against the exact best response, and against a literal reading of its update."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions, replay_backwards, soft_value
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.soft_q_learning import SoftQLearning
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms(slip_kernels="corrected")
RUNS = 3
BETA = np.full(RUNS, 0.003)
REWARD = PROBLEM.follower_reward(np.zeros((RUNS, 105)))
EXACT = SoftPolicyIteration(PROBLEM.planner, BETA, 1e-10, 100).respond(
    REWARD, np.zeros((RUNS, 104))
)


def learner(steps: int, runs: int = RUNS) -> SoftQLearning:
    return SoftQLearning(PROBLEM.simulator, BETA[:runs], steps, steps, PROBLEM.max_episode_steps)


def visits() -> Floats:
    """Share of its time that the best response spends in each state."""
    chain = np.einsum("sa,sak->sk", EXACT.policy[0], PROBLEM.simulator.transition)
    chain[PROBLEM.goal] = 0.0
    now, total = PROBLEM.simulator.initial.copy(), np.zeros(104)
    for _ in range(PROBLEM.max_episode_steps):
        total += now
        now = now @ chain
    return total / total.sum()


def kl(answer: BestResponse) -> Floats:
    """KL(best response || answer), averaged under the best response's visits, shape (R,)."""
    ratio = np.log(EXACT.policy + 1e-300) - np.log(answer.policy + 1e-300)
    divergence: Floats = (EXACT.policy * ratio).sum(axis=2) @ visits()
    return divergence


def test_half_a_million_transitions_teach_the_best_response() -> None:
    follower, streams = learner(100_000), Streams(range(RUNS))
    memory, found = follower.start(RUNS), []
    for _ in range(5):
        answer = follower.respond(REWARD, memory, streams)
        found.append(kl(answer))
    assert (found[-1] < 0.01).all()
    assert (found[0] > 2.0 * found[-1]).all()
    # Where it goes it knows what that is worth; the certificate covers every state.
    weight = visits()
    np.testing.assert_allclose(answer.value @ weight, EXACT.value @ weight, rtol=0.01)
    assert (answer.accuracy >= np.abs(answer.value - EXACT.value).max(axis=1)).all()


def test_an_episode_is_replayed_from_its_end() -> None:
    rng = np.random.default_rng(0)
    table, count = (
        rng.standard_normal((4, 2)),
        np.array([[0.0, 3.0], [1.0, 0.0], [2.0, 2.0], [0, 0]]),
    )
    place, action = np.array([0, 1, 2, 1]), np.array([1, 0, 1, 0])
    reward, following = rng.standard_normal(4), np.array([1, 2, 1, 3])
    goes_on = np.array([True, True, True, False])
    expected, times = table.copy(), count.copy()
    for t in (3, 2, 1, 0):
        after = 0.3 * np.log(np.exp(expected[following[t]] / 0.3).sum())
        target = reward[t] + (0.9 * after if goes_on[t] else 0.0)
        step = max((5.0 / (5.0 + times[place[t], action[t]])) ** 0.8, 0.05)
        times[place[t], action[t]] += 1
        expected[place[t], action[t]] += step * (target - expected[place[t], action[t]])
    schedule = np.array([5.0, 0.8, 0.05])
    replay_backwards(place, action, reward, following, goes_on, 4, 0.3, 0.9, schedule, table, count)
    np.testing.assert_allclose(table, expected, rtol=1e-12)
    np.testing.assert_array_equal(count, times)


def test_the_soft_value_does_not_overflow() -> None:
    row = np.array([1e3, 999.0, -1e3])
    assert soft_value(row, 0.1) == pytest.approx(1e3 + 0.1 * np.log1p(np.exp(-10.0)))


def test_runs_do_not_depend_on_their_neighbours() -> None:
    follower, memory = learner(2_000), learner(2_000).start(RUNS)
    together = follower.respond(REWARD, memory, Streams([4, 5, 6]))
    for run in range(RUNS):
        alone, own = learner(2_000, 1), learner(2_000, 1).start(1)
        found = alone.respond(REWARD[:1], own, Streams([4 + run]))
        np.testing.assert_array_equal(found.policy[0], together.policy[run])
        np.testing.assert_array_equal(own[0], memory[run])


def test_learning_goes_on_where_it_stopped_and_follows_a_leader_that_moves() -> None:
    options = SoftQOptions(smallest_step=0.05)
    follower, streams = replace(learner(50_000), options=options), Streams(range(RUNS))
    memory = follower.start(RUNS)
    before = follower.respond(REWARD, memory, streams)
    rng = np.random.default_rng(3)
    moved = PROBLEM.follower_reward(3.0 * rng.standard_normal((1, 105)).repeat(RUNS, axis=0))
    optimal = SoftPolicyIteration(PROBLEM.planner, BETA, 1e-10, 100).respond(
        moved, np.zeros((RUNS, 104))
    )
    first = follower.respond(moved, memory, streams)
    for _ in range(4):
        later = follower.respond(moved, memory, streams)
    error = [np.abs(one.value - optimal.value)[:, PROBLEM.start] for one in (before, first, later)]
    assert (error[2] < error[0]).all()
    assert (error[2] < 0.05).all()
