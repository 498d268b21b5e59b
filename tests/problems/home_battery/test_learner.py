"""Houses that learn by soft Q-learning."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.problems.home_battery.game import BatteryGame, kl_divergence
from bilevelrl.problems.home_battery.learner import LearningHousehold
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery

Floats = NDArray[np.float64]
HOUSES = HomeBattery.of_houses(2, noise=0.2, num_charges=9, num_actions=11)
TEMPERATURE = np.array([0.05, 0.1])
THETA = np.random.default_rng(0).uniform(0.2, 0.4, (2, 24))
STEPS = 24 * 2000


def learner(rows: slice = slice(None), **options: object) -> LearningHousehold:
    return LearningHousehold(HOUSES, TEMPERATURE[rows], STEPS, STEPS, **options)  # type: ignore[arg-type]


@cache
def answers() -> tuple[HouseholdResponse, ...]:
    follower, streams = learner(), Streams([1, 2])
    memory = follower.start(2)
    reward = HOUSES.follower_reward(THETA)
    return tuple(follower.respond(reward, memory, streams) for _ in range(5))


def test_learns_to_play_the_best_response() -> None:
    planner = ExactPlanner(HOUSES, TEMPERATURE)
    game = BatteryGame(HOUSES, learner(), planner, np.zeros(2))
    found = [game.ground_truth(THETA, answer) for answer in answers()]
    assert (found[-1].follower_kl < 0.02).all()
    assert (found[-1].follower_value_gap < 0.05).all()
    assert (found[-1].follower_kl < 0.3 * found[0].follower_kl).all()
    assert (found[-1].follower_value_gap > 0.0).all()


def test_certifies_its_value_but_for_a_constant() -> None:
    best = ExactPlanner(HOUSES, TEMPERATURE).best(THETA)
    for answer in answers():
        difference = (answer.value - best.value)[:, :, 0]
        error = 0.5 * (difference.max(axis=2) - difference.min(axis=2))
        assert (error <= answer.certified).all()
        assert (error > 0.0).all()
    assert (answers()[-1].accuracy < 0.7 * answers()[0].accuracy).all()


def test_plays_a_policy_of_what_is_allowed() -> None:
    for answer in answers():
        np.testing.assert_allclose(answer.policy.sum(axis=4), 1.0)
        assert not answer.policy[..., ~HOUSES.grid.allowed].any()
        assert answer.steps == 2 * STEPS


def test_values_stay_small_where_they_are_pulled() -> None:
    reward = HOUSES.follower_reward(THETA)
    best = ExactPlanner(HOUSES, TEMPERATURE).best(THETA)
    divergence = []
    for pull in (0.0, 0.2):
        follower = learner(pull=pull)
        answer = follower.respond(reward, follower.start(2), Streams([1, 2]))
        divergence.append(kl_divergence(answer.policy, best.policy))
    assert (divergence[1] < 0.5 * divergence[0]).all()


def test_goes_on_from_its_last_answer_or_starts_again() -> None:
    reward = HOUSES.follower_reward(THETA)
    for start, same in (("carry", False), ("reset", True)):
        follower = learner(start_from=start)
        memory = follower.start(2)
        first = follower.respond(reward, memory, Streams([1, 2]))
        second = follower.respond(reward, memory, Streams([1, 2]))
        assert np.array_equal(first.policy, second.policy) == same


def test_explores_what_is_allowed_alone() -> None:
    follower = learner(options=SoftQOptions(exploration=1.0))
    memory = follower.start(2)
    follower.respond(HOUSES.follower_reward(THETA), memory, Streams([1, 2]))
    visits = memory[:, 1].reshape(2, 2, 24, *HOUSES.grid.energy.shape)
    assert not visits[..., ~HOUSES.grid.allowed].any()
    assert visits.sum() == 2 * 2 * STEPS
    for charge in (2, 5):
        seen = visits[0, 0, :, charge].sum(axis=0)[HOUSES.grid.allowed[charge]]
        assert seen.max() < 1.3 * seen.min()


def test_runs_do_not_depend_on_their_batch() -> None:
    follower = learner(slice(1, 2))
    reward = HOUSES.follower_reward(THETA[1:])
    alone = follower.respond(reward, follower.start(1), Streams([2]))
    np.testing.assert_array_equal(alone.policy[0], answers()[0].policy[1])


def test_refusals() -> None:
    for options, message in (
        ({"first_steps": 0}, "first_steps must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"pull": -0.1}, "pull must be finite, not negative, got -0.1"),
        ({"start_from": "cold"}, "start_from must be 'carry' or 'reset', got 'cold'"),
        ({"temperature": np.array([-1.0])}, "temperature must be one positive number a run"),
    ):
        given: dict[str, object] = {
            "temperature": TEMPERATURE, "first_steps": 24, "steps": 24,
        } | options  # fmt: skip
        with pytest.raises(ValueError, match=message):
            LearningHousehold(HOUSES, **given)  # type: ignore[arg-type]
