"""Houses that plan."""

import numpy as np
import pytest

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.home_battery.exact import exact_hypergradient
from bilevelrl.problems.home_battery.planner import ExactPlanner, TruncatedPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from tests.problems.home_battery.literal import House

THETA = np.random.default_rng(0).uniform(0.1, 0.5, (2, 24))
TEMPERATURE = np.array([0.05, 0.1])


@pytest.mark.parametrize("infeasible", ["refused", "cut"])
def test_plans_as_a_literal_program_does(infeasible: str) -> None:
    problem = HomeBattery.of_houses(1, infeasible=infeasible)
    answer = ExactPlanner(problem, TEMPERATURE).best(THETA)
    for run in range(2):
        house = House(
            problem.demand.mean[0], TEMPERATURE[run], days=40, refuse=infeasible == "refused"
        )
        expected = np.stack(house.policies(THETA[run])[:24])
        np.testing.assert_allclose(answer.policy[run, 0], expected, atol=1e-10)
    assert answer.accuracy.max() <= 1e-12


def test_value_satisfies_its_equation() -> None:
    problem = HomeBattery.of_houses(2, noise=0.2)
    planner = ExactPlanner(problem, TEMPERATURE)
    answer = planner.best(THETA)
    grid, reward = problem.grid, problem.follower_reward(THETA)
    after = np.roll(answer.value, -1, axis=2)
    ahead = (1.0 - grid.share) * after[..., grid.lower] + grid.share * after[..., grid.lower + 1]
    q = np.where(grid.allowed, reward + problem.follower_discount * ahead, -np.inf)
    beta = TEMPERATURE[:, None, None, None]
    value = beta * np.logaddexp.reduce(q / beta[..., None], axis=-1)
    np.testing.assert_allclose(value, answer.value, atol=1e-11)


def test_refused_actions_are_not_played() -> None:
    problem = HomeBattery.of_houses(1)
    policy = ExactPlanner(problem, TEMPERATURE).best(THETA).policy
    assert not policy[..., ~problem.grid.allowed].any()
    np.testing.assert_allclose(policy.sum(axis=-1), 1.0)


@pytest.mark.parametrize("days", [1, 2])
def test_truncated_planning_is_so_many_days_of_a_literal_program(days: int) -> None:
    problem = HomeBattery.of_houses(1)
    planner = TruncatedPlanner(problem, TEMPERATURE, np.full(2, days))
    answer = planner.respond(problem.follower_reward(THETA), planner.start(2))
    house = House(problem.demand.mean[0], TEMPERATURE[0], days=days)
    np.testing.assert_allclose(
        answer.policy[0, 0], np.stack(house.policies(THETA[0])[:24]), atol=1e-12
    )


def test_truncated_planning_goes_on_where_it_was_and_certifies_its_error() -> None:
    problem = HomeBattery.of_houses(2)
    reward = problem.follower_reward(THETA)
    best = ExactPlanner(problem, TEMPERATURE).best(THETA)
    carrying, resetting = (
        TruncatedPlanner(problem, TEMPERATURE, np.array([1, 2]), start_from=start)  # type: ignore[arg-type]
        for start in ("carry", "reset")
    )
    memories = carrying.start(2), resetting.start(2)
    errors = []
    for _ in range(4):
        answer = carrying.respond(reward, memories[0])
        error = np.abs(answer.value - best.value)[:, :, 0].max(axis=(1, 2))
        assert (error <= answer.accuracy + 1e-12).all()
        errors.append(error)
        again = resetting.respond(reward, memories[1])
    assert (np.array(errors[1:]) < np.array(errors[:-1])).all()
    np.testing.assert_array_equal(again.value, resetting.respond(reward, resetting.start(2)).value)


def test_a_warm_start_saves_days_and_changes_nothing() -> None:
    problem = HomeBattery.of_houses(1)
    planner = ExactPlanner(problem, TEMPERATURE)
    memory = planner.start(2)
    cold = planner.respond(problem.follower_reward(THETA), memory)
    warm = planner.respond(problem.follower_reward(THETA), memory)
    assert (warm.days < cold.days).all()
    np.testing.assert_allclose(warm.policy, cold.policy, atol=1e-11)


def test_two_grids_say_how_far_both_are_from_the_battery() -> None:
    found = []
    for charges, actions in ((17, 41), (33, 41), (65, 41)):
        problem = HomeBattery.of_houses(1, num_charges=charges, num_actions=actions)
        planner = ExactPlanner(problem, TEMPERATURE)
        policy = planner.best(THETA).policy
        found.append(exact_hypergradient(problem, THETA, policy, TEMPERATURE))
    apart = [
        np.linalg.norm(each.total - found[-1].total, axis=1)
        / np.linalg.norm(found[-1].total, axis=1)
        for each in found[:-1]
    ]
    assert (apart[1] < 0.5 * apart[0]).all()
    assert (apart[1] < 0.05).all()


def test_refusals() -> None:
    problem = HomeBattery.of_houses(1)
    for planner in (ExactPlanner, TruncatedPlanner):
        more = (np.array([1]),) if planner is TruncatedPlanner else ()
        with pytest.raises(ValueError, match="temperature must be one positive number a run"):
            planner(problem, np.array([0.0]), *more)
    with pytest.raises(ValueError, match="planned_days must be at least 1 a run"):
        TruncatedPlanner(problem, np.array([0.1]), np.array([0]))
    with pytest.raises(ValueError, match="start_from must be 'carry' or 'reset', got 'cold'"):
        TruncatedPlanner(problem, np.array([0.1]), np.array([1]), start_from="cold")  # type: ignore[arg-type]
    with pytest.raises(NotConverged, match="max_days = 1 days"):
        ExactPlanner(problem, np.array([0.1]), max_days=1).best(THETA[:1])
