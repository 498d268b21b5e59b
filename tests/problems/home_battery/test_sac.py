"""Houses that learn by soft actor-critic."""

from functools import cache

import numpy as np
import pytest

from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.sac_agent import observations
from bilevelrl.problems.home_battery.sac_household import SacHousehold
from bilevelrl.problems.home_battery.sac_settings import HouseholdSacParams
from tests.problems.home_battery.cases import BLOCK, build, setting

HOUSES = HomeBattery.of_houses(2, noise=0.2, num_charges=9, num_actions=11)
TEMPERATURE = np.array([0.05, 0.1])
THETA = np.random.default_rng(0).uniform(0.2, 0.4, (2, 24))
RULE: HouseholdSacParams = BLOCK.learner.sac
FIRST, LATER = 24 * 100, 24 * 10


def household(runs: slice = slice(None), **changes: object) -> SacHousehold:
    rule = RULE.model_copy(update={"net_arch": (32, 32), **changes})
    return SacHousehold(HOUSES, TEMPERATURE[runs], FIRST, LATER, rule, "cut")


@cache
def answers() -> tuple[HouseholdResponse, ...]:
    follower, streams = household(), Streams([1, 2])
    memory = follower.start(2, streams)
    reward = HOUSES.follower_reward(THETA)
    return tuple(follower.respond(reward, memory, streams) for _ in range(3))


def test_learns_towards_the_best_response() -> None:
    house, beta, hours = HomeBattery.of_houses(1, noise=0.2), TEMPERATURE[:1], 24 * 1600
    rule = RULE.model_copy(update={"net_arch": (32, 32)})
    follower, streams = SacHousehold(house, beta, hours, hours, rule, "scaled"), Streams([1])
    game = BatteryGame(house, follower, ExactPlanner(house, beta), np.zeros(1))
    memory = follower.start(1, streams)

    def gap(policy: np.ndarray) -> float:
        none = np.zeros((1, 1))
        response = HouseholdResponse(policy, none, none, none.astype(np.int64))
        return float(game.ground_truth(THETA[:1], response).follower_value_gap[0])

    reward = house.follower_reward(THETA[:1])
    found = [gap(follower.respond(reward, memory, streams).policy) for _ in range(2)]
    idle = np.zeros_like(reward)
    idle[..., 20] = 1.0
    assert 0.0 < found[1] < found[0]
    assert found[1] < 0.1 * gap(idle)


def test_plays_a_policy_of_what_is_allowed() -> None:
    for answer, steps in zip(answers(), (FIRST, *(LATER,) * 2), strict=True):
        np.testing.assert_allclose(answer.policy.sum(axis=4), 1.0)
        assert not answer.policy[..., ~HOUSES.grid.allowed].any()
        assert answer.steps == 2 * steps
        assert np.isnan(answer.accuracy).all()


def test_runs_do_not_depend_on_their_batch() -> None:
    follower, streams = household(slice(1, 2)), Streams([2])
    reward = HOUSES.follower_reward(THETA[1:])
    alone = follower.respond(reward, follower.start(1, streams), streams)
    np.testing.assert_array_equal(alone.policy[0], answers()[0].policy[1])


def test_houses_of_a_run_have_numbers_of_their_own() -> None:
    follower, streams = household(slice(1)), Streams([1])
    reward = np.repeat(HOUSES.follower_reward(THETA[:1])[:, :1], 2, axis=1)
    policy = follower.respond(reward, follower.start(1, streams), streams).policy
    assert (policy[0, 0] != policy[0, 1]).any()


def test_hours_are_told_apart_by_all_their_harmonics() -> None:
    for harmonics, rank in ((1, 3), (4, 9), (12, 24)):
        table = observations(5, harmonics)
        assert table.shape == (24 * 5, 2 * harmonics + 1)
        assert np.linalg.matrix_rank(np.c_[np.ones(24), table[::5, :-1]], tol=1e-5) == rank
        np.testing.assert_allclose(table[:5, -1], [-1.0, -0.5, 0.0, 0.5, 1.0])


def test_an_agent_that_diverges_says_so() -> None:
    follower, streams = household(learning_rate=1e30, final_learning_rate=None), Streams([1, 2])
    with pytest.raises(FollowerDiverged, match="SAC after 2400 hours: a loss of"):
        follower.respond(HOUSES.follower_reward(THETA), follower.start(2, streams), streams)


def test_refusals() -> None:
    for first, later, name in ((0, 1, "first_steps"), (1, 0, "steps")):
        with pytest.raises(ValueError, match=f"^{name} must be at least 1, got 0"):
            SacHousehold(HOUSES, TEMPERATURE, first, later, RULE, "cut")
    with pytest.raises(ValueError, match="num_runs = 2: there are 1 seeds"):
        household().start(2, Streams([1]))


def test_a_cell_has_agents_for_followers() -> None:
    follower = {"kind": "sac", "start": "carry", "first_steps": 240, "steps": 24, "limits": "cut"}
    own = setting("bc_hg", "sac", num_updates=2, days_per_update=4, follower=follower)
    built = build("bc_hg", [own])
    house = built.game.follower
    assert isinstance(house, SacHousehold)
    assert (house.first_steps, house.steps, house.options, house.limits) == (240, 24, RULE, "cut")
