"""Batches of a finite game follow its tables, and lie in memory as episodes one after the other."""

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.observations import Observations, discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.rollout import GameRollout
from tests.games import random_game, random_policies

Floats = NDArray[np.float64]
GAME = random_game()
EPISODES = 40
#: Of one test; everything below is one draw from a fixed seed.
LEVEL = 1e-4


def make_batch(seeds: list[int], episodes: int = EPISODES) -> tuple[Observations, Floats, Floats]:
    """With other policies for every run; equal seeds get equal policies."""
    leader = np.concatenate([random_policies(1, 4, 3, seed=seed) for seed in seeds])
    follower = np.concatenate([random_policies(1, 4, 3, 2, seed=seed + 50) for seed in seeds])
    batch = GameRollout(GAME, episodes).sample(leader, follower, Streams(seeds))
    return batch, leader, follower


def arrays(batch: Observations) -> list[NDArray[Any]]:
    return [
        batch.state,
        batch.leader_action,
        batch.follower_action,
        batch.next_state,
        batch.leader_reward,
    ]


@pytest.fixture(scope="module")
def large() -> tuple[Observations, Floats, Floats]:
    """80,000 transitions of either run."""
    return make_batch([0, 1], episodes=4000)


def p_value(counts: Floats, probabilities: Floats) -> float:
    """Pearson's test that rows of `counts` were drawn from rows of `probabilities`."""
    expected = counts.sum(axis=-1, keepdims=True) * probabilities
    kept = expected.min(axis=-1) > 5.0
    assert kept.mean() > 0.5
    statistic = (np.square(counts - expected)[kept] / expected[kept]).sum()
    return float(stats.chi2.sf(statistic, kept.sum() * (counts.shape[-1] - 1)))


@pytest.mark.parametrize("run", [0, 1])
def test_frequencies_match_all_tables(large: tuple[Observations, Floats, Floats], run: int) -> None:
    batch, leader, follower = large
    counts = np.zeros((4, 3, 2, 4))
    np.add.at(counts, tuple(array[run] for array in arrays(batch)[:4]), 1.0)
    assert p_value(counts, GAME.transition) > LEVEL
    assert p_value(counts.sum(axis=3), follower[run]) > LEVEL
    assert p_value(counts.sum(axis=(2, 3)), leader[run]) > LEVEL
    first = np.bincount(batch.state[run, :: GAME.max_episode_steps], minlength=4)
    assert p_value(first[None].astype(float), GAME.initial[None]) > LEVEL
    # Power: the other run's policies would be found out.
    assert p_value(counts.sum(axis=3), follower[1 - run]) < 1e-12
    assert p_value(counts.sum(axis=(2, 3)), leader[1 - run]) < 1e-12
    assert p_value(first[None].astype(float), np.full((1, 4), 0.25)) < 1e-12


def test_states_at_a_time_have_the_chain_s_distribution(
    large: tuple[Observations, Floats, Floats],
) -> None:
    batch, leader, follower = large
    for run in range(2):
        chain = np.einsum("sa,sab,sabt->st", leader[run], follower[run], GAME.transition)
        expected = GAME.initial
        states = batch.state[run].reshape(-1, GAME.max_episode_steps)
        for t in range(GAME.max_episode_steps):
            counts = np.bincount(states[:, t], minlength=4).astype(float)
            assert p_value(counts[None], expected[None]) > LEVEL / 20
            expected = expected @ chain


def test_episodes_lie_one_after_the_other() -> None:
    batch, _, _ = make_batch([2, 3])
    horizon = GAME.max_episode_steps
    assert all(array.shape == (2, EPISODES * horizon) for array in arrays(batch))
    assert GameRollout(GAME, EPISODES).env_steps == EPISODES * horizon
    state = batch.state.reshape(2, EPISODES, horizon)
    following = batch.next_state.reshape(2, EPISODES, horizon)
    np.testing.assert_array_equal(state[:, :, 1:], following[:, :, :-1])
    # Episodes start anew, so that most boundaries do not match.
    assert (state[:, 1:, 0] != following[:, :-1, -1]).mean() > 0.3


def test_rewards_belong_to_the_state_before_the_transition() -> None:
    batch, _, _ = make_batch([2, 3])
    for r in range(2):
        for n in range(len(batch.leader_reward[r])):
            s, a, b = (int(array[r, n]) for array in arrays(batch)[:3])
            assert batch.leader_reward[r, n] == GAME.leader_reward[s, a, b]


def test_bits_depend_on_neither_the_batch_nor_the_threads() -> None:
    together, _, _ = make_batch([4, 5, 4])
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    on_two, _, _ = make_batch([4, 5, 4])
    numba.set_num_threads(1)
    alone, _, _ = make_batch([5])
    for first, second, single in zip(arrays(together), arrays(on_two), arrays(alone), strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first[1:2], single)
        np.testing.assert_array_equal(first[0], first[2])
    assert (together.state[0] != together.state[1]).any()


def test_the_next_batch_is_another_one() -> None:
    leader, follower = random_policies(1, 4, 3), random_policies(1, 4, 3, 2)
    streams, rollout = Streams([0]), GameRollout(GAME, 2)
    first, second = (rollout.sample(leader, follower, streams) for _ in range(2))
    assert (first.state != second.state).any()


def test_probability_one_and_zero_are_taken_at_their_word() -> None:
    leader = np.zeros((1, 4, 3))
    leader[:, :, 2] = 1.0
    follower = np.zeros((1, 4, 3, 2))
    follower[..., 0] = 1.0
    batch = GameRollout(GAME, 10).sample(leader, follower, Streams([0]))
    np.testing.assert_array_equal(batch.leader_action, 2)
    np.testing.assert_array_equal(batch.follower_action, 0)


def test_returns_are_discounted_within_each_episode() -> None:
    batch, _, _ = make_batch([2, 3])
    horizon = GAME.max_episode_steps
    for discount in (0.9, 1.0, 0.0):
        found = discounted_return(batch.leader_reward, horizon, discount)
        for r in range(2):
            total = 0.0
            for n, reward in enumerate(batch.leader_reward[r]):
                total += discount ** (n % horizon) * reward
            assert found[r] == pytest.approx(total / EPISODES, rel=1e-12)


def test_batches_can_be_indexed() -> None:
    batch, _, _ = make_batch([2, 3])
    index = np.array([[5, 0, 5], [7, 799, 1]])
    for whole, some in zip(arrays(batch), arrays(batch.take(index)), strict=True):
        for r in range(2):
            np.testing.assert_array_equal(some[r], [whole[r, n] for n in index[r]])
