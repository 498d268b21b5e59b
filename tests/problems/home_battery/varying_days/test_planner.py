"""Houses on days that vary: the soft Bellman equation, and runs that are their own."""

import numpy as np
import pytest

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from tests.problems.home_battery.varying_days.days import (
    TEMPERATURE,
    planner,
    small,
    some_prices,
)


def test_values_solve_the_soft_bellman_equation_with_tomorrow_drawn_anew() -> None:
    problem = small()
    prices = some_prices(problem)
    answer, grid = planner(problem).best(prices), problem.houses.grid
    likely = problem.types.probability[:, None]
    tomorrow = (likely * answer.value[:, :, :, 0]).sum(axis=2)
    for h in (5, 23):
        after = answer.value[:, :, :, h + 1] if h < 23 else np.repeat(
            tomorrow[:, :, None], 9, axis=2
        )  # fmt: skip
        w = grid.share
        ahead = (1.0 - w) * after[..., grid.lower] + w * after[..., grid.lower + 1]
        paid = -prices[:, None, :, h, None, None] * problem.bought[:, :, h]
        q = np.where(grid.allowed, paid + 0.99 * ahead, -np.inf)
        beta = TEMPERATURE[:, None, None, None]
        value = beta * np.log(np.exp(q / beta[..., None]).sum(axis=-1))
        np.testing.assert_allclose(value, answer.value[:, :, :, h], rtol=1e-9)
        expected = np.exp((q - value[..., None]) / beta[..., None])
        np.testing.assert_allclose(answer.policy[:, :, :, h], expected, atol=1e-9)


def test_a_run_is_its_own_and_a_warm_start_leads_to_the_same() -> None:
    problem = small()
    prices = some_prices(problem)
    both = planner(problem).best(prices)
    alone = VaryingPlanner(problem, TEMPERATURE[1:], tolerance=1e-13).best(prices[1:])
    np.testing.assert_array_equal(alone.policy[0], both.policy[1])
    np.testing.assert_array_equal(alone.value[0], both.value[1])
    own = planner(problem)
    memory = own.start(2)
    own.respond(some_prices(problem, 1), memory)
    again = own.respond(prices, memory)
    np.testing.assert_allclose(again.policy, both.policy, atol=1e-10)
    assert (again.accuracy <= 1e-13).all()


def test_too_few_days_are_refused() -> None:
    problem = small(houses=1)
    own = VaryingPlanner(problem, TEMPERATURE, tolerance=1e-13, max_days=1)
    with pytest.raises(NotConverged, match="after max_days = 1 days"):
        own.best(some_prices(problem))
    with pytest.raises(ValueError, match="temperature must be one positive"):
        VaryingPlanner(problem, np.array([0.0]))
