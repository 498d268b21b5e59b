"""Sampled days against the truth."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import (
    Days,
    leader_return,
    leader_rewards,
    mean_day,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.rollout import DayRollout, HouseDays, drawn, sampled_return

Floats = NDArray[np.float64]
TEMPERATURE = np.array([0.05, 0.1])
THETA = np.random.default_rng(5).uniform(0.1, 0.5, (2, 24))
HOUSES = HomeBattery.of_houses(2, noise=0.3)
N = 20_000


@cache
def lived() -> tuple[HouseholdResponse, HouseDays, Days]:
    answer = ExactPlanner(HOUSES, TEMPERATURE).best(THETA)
    seen = DayRollout(HOUSES, N).sample(answer.policy, Streams([1, 2]))
    return answer, seen, mean_day(HOUSES, answer.policy)


def standard_errors(samples: Floats, mean: Floats, axis: int) -> Floats:
    error = samples.std(axis=axis) / np.sqrt(samples.shape[axis])
    found: Floats = np.abs(samples.mean(axis=axis) - mean) / np.maximum(error, 1e-12)
    return found


def test_first_days_have_the_means_of_the_truth() -> None:
    _, seen, days = lived()
    first = seen.energy[..., :24]
    assert standard_errors(first, days.energy, 2).max() < 4.5
    assert standard_errors(np.square(first), days.square, 2).max() < 4.5
    assert standard_errors(seen.bought[..., :24], days.bought, 2).max() < 4.5
    charge = HOUSES.grid.charge[seen.charge[..., :24]]
    assert standard_errors(charge, days.charge, 2).max() < 4.5
    together = np.square(first.sum(axis=1))
    assert standard_errors(together, days.total_square, 1).max() < 4.5


def test_returns_have_the_mean_of_the_truth() -> None:
    _, seen, days = lived()
    rewards = seen.leader_reward(HOUSES, THETA)[:, :, :24] * HOUSES.day_weights
    truth = leader_return(HOUSES, THETA, days)
    assert standard_errors(rewards.sum(axis=2), truth, 1).max() < 4.0
    np.testing.assert_allclose(
        sampled_return(HOUSES, THETA, seen), rewards.sum(axis=2).mean(axis=1), rtol=1e-12
    )


def test_rewards_of_the_leader_are_means_over_the_noise() -> None:
    _, seen, days = lived()
    expected = leader_rewards(HOUSES, days.others)
    run, house, hour = 1, 0, 19
    charge, action = (each[run, house, :, hour] for each in (seen.charge, seen.action))
    mean = expected[run, house, hour][charge, action]
    energy = seen.energy[run, house, :, hour]
    others = days.others[run, house, hour]
    samples = -HOUSES.peak_weight * (energy**2 + 2.0 * energy * others) - mean
    assert standard_errors(samples, np.zeros(()), 0) < 4.0


def test_houses_choose_by_their_policies_and_the_battery_follows() -> None:
    answer, seen, _ = lived()
    grid = HOUSES.grid
    hour = 13
    charge, action = (each[0, 1, :, hour].astype(int) for each in (seen.charge, seen.action))
    assert grid.allowed[charge, action].all()
    c = np.bincount(charge).argmax()
    counts = np.bincount(action[charge == c], minlength=41) / (charge == c).sum()
    spread = np.sqrt(answer.policy[0, 1, hour, c] / (charge == c).sum())
    assert (np.abs(counts - answer.policy[0, 1, hour, c]) < 4.5 * spread + 1e-9).all()
    moved = seen.charge[0, 1, :, hour + 1] - grid.lower[charge, action]
    assert set(moved) == {0, 1}
    assert standard_errors(moved - grid.share[charge, action], np.zeros(()), 0) < 4.0


def test_a_sequence_goes_on_after_its_first_day() -> None:
    answer, seen, _ = lived()
    assert seen.charge.shape == (2, 2, N, 49)
    later = mean_day(HOUSES, answer.policy, discount=1.0)  # all but stationary a day later
    charge = HOUSES.grid.charge[seen.charge[..., 24:48]]
    np.testing.assert_allclose(charge.mean(axis=2), later.charge, atol=0.1)


def test_what_houses_pay() -> None:
    _, seen, _ = lived()
    paid = seen.follower_reward(THETA)
    assert paid[1, 0, 7, 26] == pytest.approx(-THETA[1, 2] * max(seen.energy[1, 0, 7, 26], 0.0))


def test_runs_do_not_depend_on_their_batch() -> None:
    answer, _, _ = lived()
    rollout = DayRollout(HOUSES, 3)
    alone = rollout.sample(answer.policy[1:], Streams([2]))
    both = rollout.sample(answer.policy, Streams([1, 2]))
    np.testing.assert_array_equal(alone.energy[0], both.energy[1])
    again = rollout.sample(answer.policy[1:], Streams([2]))
    np.testing.assert_array_equal(alone.charge, again.charge)


def test_counts_transitions() -> None:
    assert DayRollout(HOUSES, 3).env_steps == 2 * 3 * 48
    assert DayRollout(HOUSES, 3, closing_days=0).env_steps == 2 * 3 * 24
    with pytest.raises(ValueError, match="num_days = 0, closing_days = 1"):
        DayRollout(HOUSES, 0)


def test_never_draws_what_has_no_probability() -> None:
    assert drawn(np.array([0.0, 1.0, 0.0]), 0.0) == 1
    assert drawn(np.array([0.0, 1.0, 0.0]), np.nextafter(1.0, 0.0)) == 1
    assert drawn(np.array([0.2, 0.5, 0.3]), 0.69) == 1
