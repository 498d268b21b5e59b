"""Batches of thermal control have the moments of the closed loop."""

from dataclasses import dataclass, fields

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from tests.buildings import NAMES, building, designs, literal_dynamics

Floats = NDArray[np.float64]
HORIZON = 6
#: Of the smallest of a test's p values, of which there are hundreds; seeds are fixed.
LEVEL = 1e-6
PROBLEMS = [
    ThermalControl.published(max_episode_steps=HORIZON, noise=0.5, state_limit=1e6),
    building(3, 1, max_episode_steps=HORIZON),
    building(5, 3, max_episode_steps=HORIZON),
]
EVERY = pytest.mark.parametrize("problem", PROBLEMS, ids=NAMES)


@dataclass(frozen=True, eq=False)
class Policy:
    """Any linear one, best response or not."""

    gain: Floats
    covariance: Floats


def policies(problem: ThermalControl, num_runs: int) -> Policy:
    rng = np.random.default_rng(8)
    zones, units = problem.input_matrix.shape
    root = rng.standard_normal((num_runs, units, units))
    gain = 0.3 * rng.standard_normal((num_runs, units, zones))
    return Policy(gain, root @ root.mT + 0.1 * np.eye(units))


def sample(
    problem: ThermalControl, episodes: int, seeds: list[int], *, mirrored: bool = False
) -> ThermalBatch:
    rollout = ThermalRollout(problem, episodes, mirrored)
    runs = len(seeds)
    return rollout.sample(designs(problem, runs), policies(problem, runs), Streams(seeds))


def by_time(array: Floats, run: int) -> Floats:
    """Shape (episodes, horizon, n)."""
    episodes: Floats = array[run].reshape(-1, HORIZON, array.shape[2])
    return episodes


def innovation(batch: ThermalBatch) -> Floats:
    assert batch.innovation is not None
    return batch.innovation


def means(problem: ThermalControl, batch: ThermalBatch, run: int) -> Floats:
    """A s + B a of every row, not clipped, shape (N, n)."""
    drift = literal_dynamics(problem, designs(problem, len(batch.state))[run])
    mean: Floats = batch.state[run] @ drift.T + batch.follower_action[run] @ problem.input_matrix.T
    return mean


def whitened(sample: Floats, covariance: Floats) -> Floats:
    white: Floats = np.linalg.solve(np.linalg.cholesky(covariance), sample.T).T
    return white


def assert_moments(sample: Floats, covariance: Floats) -> None:
    """Rows of `sample` (N, n) are N(0, covariance), as far as two moments can tell."""
    number, size = sample.shape
    white = whitened(sample, covariance)
    p_values = [stats.chi2.sf(number * np.square(white.mean(axis=0)).sum(), size)]
    second = white.T @ white / number - np.eye(size)
    z = second * np.sqrt(number / (1.0 + np.eye(size)))  # variance 2 on the diagonal, 1 off it
    p_values += list(2.0 * stats.norm.sf(np.abs(z[np.triu_indices(size)])))
    assert min(p_values) > LEVEL, p_values
    assert np.sqrt(2.0 / number) < 0.02  # power: 10 % in a variance would be found


@EVERY
def test_states_and_actions_have_the_closed_loop_s_moments(problem: ThermalControl) -> None:
    batch, policy = sample(problem, 10_000, [0, 1]), policies(problem, 2)
    for run in range(2):
        actuator, gain, wide = problem.input_matrix, policy.gain[run], policy.covariance[run]
        loop = literal_dynamics(problem, designs(problem, 2)[run]) - actuator @ gain
        added = actuator @ wide @ actuator.T + problem.noise**2 * np.eye(len(loop))
        moment = problem.initial_deviation**2 * np.eye(len(loop))
        for t in range(HORIZON):
            assert_moments(by_time(batch.state, run)[:, t], moment)
            assert_moments(by_time(batch.follower_action, run)[:, t], gain @ moment @ gain.T + wide)
            moment = loop @ moment @ loop.T + added
            assert_moments(by_time(batch.next_state, run)[:, t], moment)


@EVERY
def test_noises_are_independent_of_what_was_seen_and_of_each_other(problem: ThermalControl) -> None:
    batch, policy = sample(problem, 2000, [0, 1]), policies(problem, 2)
    for run in range(2):
        chosen = whitened(
            batch.follower_action[run] + batch.state[run] @ policy.gain[run].T,
            policy.covariance[run],
        )
        before = np.roll(innovation(batch)[run], 1, axis=0)  # of the step, or episode, before
        seen = np.column_stack(
            [innovation(batch)[run] / problem.noise, chosen, batch.state[run], before]
        )
        noises = problem.num_zones + chosen.shape[1]
        correlation = np.corrcoef(seen.T)[:noises]
        # A state contains the innovation before it, which is no noise of this step.
        found = correlation[np.triu_indices_from(correlation, k=1)]
        assert (np.abs(found) < stats.norm.isf(LEVEL / 2.0) / np.sqrt(len(seen))).all()
        np.testing.assert_allclose(seen[:, :noises].std(axis=0), 1.0, atol=0.03)


@EVERY
def test_rows_are_transitions_and_episodes_lie_one_after_the_other(problem: ThermalControl) -> None:
    batch = sample(problem, 5, [3, 4])
    zones, units = problem.input_matrix.shape
    arrays = (batch.state, batch.follower_action, batch.next_state, innovation(batch))
    shapes = [array.shape for array in arrays]
    assert shapes == [(2, 5 * HORIZON, size) for size in (zones, units, zones, zones)]
    theta = designs(problem, 2)
    paid = problem.operating_reward(batch.state, batch.follower_action)
    paid -= problem.design.configuration_cost(theta)[:, None]
    np.testing.assert_array_equal(batch.leader_reward, paid)
    for run in range(2):
        states, after = by_time(batch.state, run), by_time(batch.next_state, run)
        np.testing.assert_array_equal(states[:, 1:], after[:, :-1])
        mean = means(problem, batch, run)
        np.testing.assert_allclose(
            innovation(batch)[run], batch.next_state[run] - mean, rtol=1e-9, atol=1e-12
        )
        # Every episode starts, and its steps are disturbed, with numbers of its own.
        numbers = np.concatenate([states[:, 0].ravel(), innovation(batch)[run].ravel()])
        assert len(np.unique(numbers)) == len(numbers)


def test_the_mean_is_clipped_before_the_noise_and_only_there_nothing_surprises() -> None:
    problem = ThermalControl.published(max_episode_steps=HORIZON, noise=0.3, state_limit=1.5)
    batch = sample(problem, 6000, [0, 1])
    for run in range(2):
        mean = means(problem, batch, run)
        inside = np.abs(mean) <= 1.5
        noise = batch.next_state[run] - np.clip(mean, -1.5, 1.5)
        assert_moments(noise, 0.09 * np.eye(4))
        np.testing.assert_allclose(
            innovation(batch)[run], np.where(inside, noise, 0.0), rtol=1e-9, atol=1e-12
        )
        assert (innovation(batch)[run][~inside] == 0.0).all()
        # One zone may be clipped and its neighbour not, on both sides; the noise goes beyond.
        assert 0.1 < inside.mean() < 0.9
        assert (inside.any(axis=1) & ~inside.all(axis=1)).mean() > 0.1
        assert (mean > 1.5).mean() > 0.1
        assert (mean < -1.5).mean() > 0.1
        assert np.abs(batch.next_state[run]).max() > 2.0
        # Starts are not clipped.
        assert_moments(by_time(batch.state, run)[:, 0], 25.0 * np.eye(4))


def test_an_action_far_out_of_the_declared_box_is_played() -> None:
    problem = ThermalControl.published(max_episode_steps=HORIZON)
    policy = Policy(np.full((1, 2, 4), 10.0), 0.01 * np.eye(2)[None])
    batch = ThermalRollout(problem, 50).sample(np.zeros((1, 8)), policy, Streams([0]))
    expected = -10.0 * batch.state[0].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(batch.follower_action[0], np.tile(expected, 2), atol=0.5)
    assert np.abs(batch.follower_action).max() > 100.0


def test_bits_depend_on_neither_the_other_runs_nor_the_threads() -> None:
    problem = PROBLEMS[2]
    theta, policy = designs(problem, 3), policies(problem, 3)
    rollout = ThermalRollout(problem, 7)
    together = rollout.sample(theta, policy, Streams([3, 4, 3]))
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    on_two = rollout.sample(theta, policy, Streams([3, 4, 3]))
    numba.set_num_threads(1)
    part = slice(1, 2)
    own = Policy(policy.gain[part], policy.covariance[part])
    alone = rollout.sample(theta[part], own, Streams([4]))
    names = [field.name for field in fields(ThermalBatch) if field.name != "follower_reward"]
    for name in names:
        np.testing.assert_array_equal(getattr(on_two, name), getattr(together, name))
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[1])
    # Equal seeds, other policies.
    np.testing.assert_array_equal(together.state[0, ::HORIZON], together.state[2, ::HORIZON])
    assert (together.state[0, 1] != together.state[2, 1]).all()


@EVERY
def test_mirrored_episodes_differ_in_the_sign_of_the_noise_alone(problem: ThermalControl) -> None:
    plain = sample(problem, 5, [3, 4])
    mirrored, gain = sample(problem, 5, [3, 4], mirrored=True), policies(problem, 2).gain
    np.testing.assert_allclose(innovation(mirrored), -innovation(plain), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(mirrored.state[:, ::HORIZON], plain.state[:, ::HORIZON])
    own, other = (batch.follower_action + batch.state @ gain.mT for batch in (mirrored, plain))
    np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-11)
    for run in range(2):
        np.testing.assert_allclose(
            innovation(mirrored)[run],
            mirrored.next_state[run] - means(problem, mirrored, run),
            rtol=1e-9,
            atol=1e-12,
        )


def test_another_batch_or_seed_draws_other_numbers() -> None:
    problem = PROBLEMS[0]
    rollout, streams = ThermalRollout(problem, 2), Streams([0])
    arguments = designs(problem, 1), policies(problem, 1), streams
    first, second = rollout.sample(*arguments), rollout.sample(*arguments)
    for other in (second, sample(problem, 2, [1])):
        assert (first.state != other.state).all()
    np.testing.assert_array_equal(first.state, sample(problem, 2, [0]).state)
