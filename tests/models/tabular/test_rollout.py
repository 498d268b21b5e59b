from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.model import tabular_model
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms()


def best_responses(num_runs: int) -> Floats:
    """Policies that reach the goal in about 20 steps, all different."""
    theta = np.random.default_rng(0).standard_normal((num_runs, 105))
    reward = PROBLEM.follower_reward(theta)
    follower = SoftPolicyIteration(PROBLEM.planner, np.full(num_runs, 0.003), 1e-8, 50)
    return follower.respond(reward, np.zeros((num_runs, 104))).policy


def random_policies(num_runs: int) -> Floats:
    return np.random.default_rng(1).dirichlet(np.ones(4), size=(num_runs, 104))


def same(first: Batch, second: Batch) -> bool:
    return all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name))
        for field in fields(Batch)
    )


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(number)
    try:
        yield
    finally:
        numba.set_num_threads(before)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Episodes that end at the goal, and some that a limit of 25 cuts."""
    rollout = Rollout(PROBLEM.simulator, num_envs=3, num_steps=400, max_episode_steps=25)
    return rollout.sample(best_responses(2), Streams([3, 4]))


def test_episodes_end_at_the_goal_or_at_the_limit(batch: Batch) -> None:
    np.testing.assert_array_equal(batch.terminated, batch.state == 7)
    np.testing.assert_array_equal(batch.truncated, (batch.time == 24) & ~batch.terminated)
    assert batch.terminated.sum() > 30
    assert batch.truncated.sum() > 30
    assert (batch.terminated & (batch.time == 24)).any()  # the goal wins on the last step


def test_time_counts_from_every_reset(batch: Batch) -> None:
    ended = batch.terminated | batch.truncated
    assert (batch.time[..., 0] == 0).all()
    expected = np.where(ended[..., :-1], 0, batch.time[..., :-1] + 1)
    np.testing.assert_array_equal(batch.time[..., 1:], expected)


def test_following_is_the_true_successor_and_episodes_restart_at_the_start(batch: Batch) -> None:
    ended = batch.terminated | batch.truncated
    assert (batch.state[..., 0] == 31).all()
    expected = np.where(ended[..., :-1], 31, batch.following[..., :-1])
    np.testing.assert_array_equal(batch.state[..., 1:], expected)
    assert (PROBLEM.moves[batch.state] == batch.following[..., None]).any(-1).all()
    assert (batch.following[batch.truncated] != 31).any()


def test_every_batch_is_fresh() -> None:
    rollout = Rollout(PROBLEM.simulator, num_envs=2, num_steps=50, max_episode_steps=200)
    streams, policy = Streams([0]), random_policies(1)
    first, second = (rollout.sample(policy, streams) for _ in range(2))
    assert not same(first, second)
    assert (second.time[..., 0] == 0).all()
    assert (second.state[..., 0] == 31).all()
    assert same(first, rollout.sample(policy, Streams([0])))
    assert rollout.env_steps == 100


def test_actions_follow_the_policy() -> None:
    rollout = Rollout(PROBLEM.simulator, num_envs=20, num_steps=1000, max_episode_steps=200)
    policy = random_policies(1)
    batch = rollout.sample(policy, Streams([0]))
    counts = np.zeros((104, 4))
    np.add.at(counts, (batch.state, batch.action), 1)
    visits = counts.sum(1)
    usual = visits * policy[0].min(1) > 5
    assert usual.sum() > 20
    expected = visits[usual, None] * policy[0][usual]
    statistic = ((counts[usual] - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, 3 * usual.sum()) > 1e-4
    # Power: a policy with the actions in another order is told apart.
    swapped = visits[usual, None] * np.roll(policy[0][usual], 1, axis=1)
    assert stats.chi2.sf(((counts[usual] - swapped) ** 2 / swapped).sum(), 3 * usual.sum()) < 1e-9


def test_slips_follow_the_simulator_and_not_the_published_planner() -> None:
    problem = FourRooms(slip_kernels="published")
    rollout = Rollout(problem.simulator, num_envs=20, num_steps=1000, max_episode_steps=200)
    batch = rollout.sample(random_policies(1), Streams([0]))
    free = np.array([len(set(row)) == 4 and s not in row for s, row in enumerate(problem.moves)])
    inside = free[batch.state]  # no walls around: the move made is visible
    state, action = batch.state[inside], batch.action[inside]
    move = (problem.moves[state] == batch.following[inside][:, None]).argmax(1)
    counts = np.zeros((4, 4))
    np.add.at(counts, (action, move), 1)
    total = counts.sum(1, keepdims=True)

    def p_value(intended: float) -> float:
        expected = total * np.where(np.eye(4, dtype=bool), intended, (1.0 - intended) / 3.0)
        return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), 12))

    assert p_value(0.67) > 1e-4
    assert p_value(0.56) < 1e-9


def test_uniform_starts_are_uniform_and_hold_for_every_reset() -> None:
    rollout = Rollout(
        PROBLEM.simulator, 100, 200, max_episode_steps=2, consumer="oracle", uniform_starts=True
    )
    batch = rollout.sample(random_policies(1), Streams([0]))
    counts = np.bincount(batch.state[batch.time == 0], minlength=104)
    assert counts.sum() > 10_000
    assert stats.chisquare(counts).pvalue > 1e-4
    assert counts[7] > 0  # the goal is a start as well


def test_rollout_and_oracle_draw_from_different_streams() -> None:
    rollout = Rollout(PROBLEM.simulator, num_envs=1, num_steps=50, max_episode_steps=200)
    policy = random_policies(1)
    oracle = replace(rollout, consumer="oracle")
    assert not same(rollout.sample(policy, Streams([0])), oracle.sample(policy, Streams([0])))


def test_several_first_states_need_uniform_starts() -> None:
    model = PROBLEM.simulator
    spread = tabular_model(
        model.successor, model.probability, model.discount, np.full(104, 1 / 104)
    )
    rollout = Rollout(spread, num_envs=1, num_steps=5, max_episode_steps=200)
    with pytest.raises(ValueError, match="single first state"):
        rollout.sample(random_policies(1), Streams([0]))


@pytest.mark.parametrize("uniform_starts", [False, True])
def test_a_run_is_the_same_alone_and_in_a_batch_of_40(uniform_starts: bool) -> None:
    rollout = Rollout(PROBLEM.simulator, 2, 100, 30, uniform_starts=uniform_starts)
    policies, seeds = best_responses(40), list(range(100, 140))
    together = rollout.sample(policies, Streams(seeds))
    for run in (0, 17, 39):
        alone = rollout.sample(policies[run : run + 1], Streams([seeds[run]]))
        for field in fields(Batch):
            assert np.array_equal(getattr(together, field.name)[run], getattr(alone, field.name)[0])


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_one_and_two_threads_give_the_same_bits() -> None:
    rollout = Rollout(PROBLEM.simulator, num_envs=2, num_steps=100, max_episode_steps=200)
    policies, seeds = random_policies(40), list(range(40))
    with threads(1):
        one = rollout.sample(policies, Streams(seeds))
    with threads(2):
        two = rollout.sample(policies, Streams(seeds))
    assert same(one, two)
