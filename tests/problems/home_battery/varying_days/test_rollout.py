"""Days that are lived are those of the exact game, of all houses the same type at a time."""

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.varying_days.exact import leader_return, typed_days
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.rollout import TypedHouseDays, VaryingRollout
from tests.problems.home_battery.varying_days.days import planner, small, some_prices

PROBLEM = small()
PRICES = some_prices(PROBLEM)
ANSWER = planner(PROBLEM).best(PRICES)
DAYS = typed_days(PROBLEM, ANSWER.policy)


def lived(days: int, seeds: list[int]) -> TypedHouseDays:
    return VaryingRollout(PROBLEM, days).sample(ANSWER.policy, Streams(seeds))


def test_types_are_as_likely_as_they_should_be_and_tomorrow_s_are_drawn_anew() -> None:
    seen = lived(20_000, [1, 2])
    likely = PROBLEM.types.probability
    for run in range(2):
        pairs = np.zeros((9, 9))
        np.add.at(pairs, (seen.types[run, :, 0], seen.types[run, :, 1]), 1.0 / 20_000)
        error = np.sqrt(np.outer(likely, likely) / 20_000)
        assert (np.abs(pairs - np.outer(likely, likely)) < 4.5 * error + 1e-9).all()


def test_hours_of_a_type_have_its_means() -> None:
    number = 20_000
    seen = lived(number, [1, 2])
    charge = PROBLEM.houses.grid.charge[seen.charge]
    for run in range(2):
        for m in (0, 4, 8):
            own = seen.types[run, :, 0] == m
            for h in (0, 8, 14, 20, 23):
                for found, mean in [
                    (seen.energy[run, :, own, h], DAYS.energy),
                    (seen.bought[run, :, own, h], DAYS.bought),
                    (charge[run, :, own, h], DAYS.charge),
                ]:
                    error = found.std(axis=0) / np.sqrt(own.sum())
                    off = np.abs(found.mean(axis=0) - mean[run, :, m, h])
                    assert (off < 4.5 * error + 1e-9).all()


def test_the_sampled_return_is_j_in_the_mean() -> None:
    truth = leader_return(PROBLEM, PRICES, DAYS)
    found = np.array([lived(200, [s, s]).sampled_return(PROBLEM, PRICES) for s in range(60)])
    error = found.std(axis=0) / np.sqrt(60)
    assert (np.abs(found.mean(axis=0) - truth) < 4.0 * error).all()
    assert (error < 0.01 * np.abs(truth)).all()


def test_runs_are_their_own_and_count_their_steps() -> None:
    both = lived(5, [3, 4])
    alone = VaryingPlanner(PROBLEM, np.array([0.1]), tolerance=1e-13).best(PRICES[1:])
    seen = VaryingRollout(PROBLEM, 5).sample(alone.policy, Streams([4]))
    for name in ("types", "charge", "taken", "energy"):
        np.testing.assert_array_equal(getattr(seen, name)[0], getattr(both, name)[1])
    assert VaryingRollout(PROBLEM, 5).env_steps == 2 * 5 * 48
    assert both.type_of_hour.shape == (2, 5, 48)
    np.testing.assert_array_equal(both.type_of_hour[..., 23], both.types[..., 0])
    np.testing.assert_array_equal(both.type_of_hour[..., 24], both.types[..., 1])
    with pytest.raises(ValueError, match="num_days must be at least 1, got 0"):
        VaryingRollout(PROBLEM, 0)
