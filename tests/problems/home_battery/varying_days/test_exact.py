"""J on days that vary and its gradient: finite differences, one type, a literal simulation."""

import numpy as np
import pytest

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.home_battery import exact as alike
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import mean_days
from bilevelrl.problems.home_battery.varying_days import exact
from bilevelrl.problems.home_battery.varying_days.day_types import day_types
from bilevelrl.problems.home_battery.varying_days.exact import (
    components,
    leader_return,
    price_gradient,
    typed_days,
)
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays, varying_days
from tests.problems.home_battery.varying_days.days import (
    TEMPERATURE,
    Floats,
    planner,
    small,
    some_prices,
)


def returns(problem: VaryingDays, prices: Floats) -> Floats:
    policy = planner(problem).best(prices).policy
    return leader_return(problem, prices, typed_days(problem, policy))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"leader_discount": 1.0, "tariff_weight": 2.0},
        {"leader_discount": 0.97, "follower_discount": 0.9, "infeasible": "cut"},
        {"houses": 1, "spread": 0.4, "num_charges": 17},
    ],
    ids=["houses", "stationary", "cut", "house"],
)
def test_finite_differences(changes: dict[str, object]) -> None:
    problem = small(**changes)  # type: ignore[arg-type]
    prices = some_prices(problem)
    truth = price_gradient(problem, prices, planner(problem).best(prices).policy, TEMPERATURE)
    assert truth.leader_return == pytest.approx(returns(problem, prices), rel=1e-12)
    largest = np.abs(truth.total).max(axis=(1, 2))
    step = 1e-5
    for m, h in [(0, 0), (0, 23), (1, 7), (3, 12), (4, 0), (4, 18), (4, 23), (8, 20)]:
        move = np.zeros_like(prices)
        move[:, m, h] = step
        above, below = (returns(problem, prices + sign * move) for sign in (1, -1))
        slope = (above - below) / (2.0 * step)
        assert (np.abs(slope - truth.total[:, m, h]) < 1e-6 * largest).all()


def test_days_of_one_type_are_those_that_are_drawn_alike() -> None:
    numbers = {"noise": 0.2, "num_charges": 17, "num_actions": 21}
    problem = varying_days(mean_days(2), day_types(0.0), **numbers)  # type: ignore[arg-type]
    known = HomeBattery.of_houses(2, **numbers)  # type: ignore[arg-type]
    theta = np.random.default_rng(0).uniform(0.05, 0.6, (2, 24))
    prices = theta[:, None]
    policy = planner(problem).best(prices).policy
    expected = ExactPlanner(known, TEMPERATURE, tolerance=1e-13).best(theta).policy
    np.testing.assert_allclose(policy[:, :, 0], expected, atol=1e-12)
    found = price_gradient(problem, prices, policy, TEMPERATURE)
    truth = alike.exact_hypergradient(known, theta, expected, TEMPERATURE)
    np.testing.assert_allclose(found.direct[:, 0], truth.direct, atol=1e-12)
    np.testing.assert_allclose(found.indirect[:, 0], truth.indirect, atol=1e-11)
    parts = components(problem, prices, typed_days(problem, policy))
    days = alike.mean_day(known, expected)
    for name, value in alike.components(known, theta, days).items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-10, err_msg=name)


def test_j_is_what_days_that_are_drawn_one_after_the_other_cost() -> None:
    # One house whose battery is empty at first: (1 - γ^24) E[Σ_t γ^t r_L], by simulation.
    problem = small(houses=1, leader_discount=0.97)
    prices = some_prices(problem)[:1]
    policy = planner(problem).best(np.repeat(prices, 2, axis=0)).policy[0, 0]
    j = leader_return(problem, prices, typed_days(problem, policy[None, None]))[0]
    grid, generator, runs, days = problem.houses.grid, np.random.default_rng(3), 4000, 12
    charge, paid = np.zeros(runs, np.int64), np.zeros(runs)
    chance = problem.demands[0].probability
    for day in range(days):
        m = generator.choice(9, runs, p=problem.types.probability)
        for h in range(24):
            likely = np.cumsum(policy[m, h, charge], axis=1)
            a = np.minimum((generator.random((runs, 1)) > likely).sum(axis=1), 10)
            outcome = generator.choice(len(chance), runs, p=chance)
            e = problem.outcomes[0, m, h, outcome] + grid.energy[charge, a]
            pull = problem.houses.tariff_weight * (prices[0, m, h] - 0.3) ** 2
            paid += 0.97 ** (24 * day + h) * -(problem.houses.peak_weight * e**2 + pull)
            up = generator.random(runs) < grid.share[charge, a]
            charge = grid.lower[charge, a] + up
    seen = (1.0 - 0.97**24) * paid
    assert abs(seen.mean() - j) < 4.0 * seen.std() / np.sqrt(runs)
    assert seen.std() / np.sqrt(runs) < 0.01 * abs(j)


def test_houses_meet_on_days_of_the_same_type() -> None:
    problem = small()
    prices = some_prices(problem)
    days = typed_days(problem, planner(problem).best(prices).policy)
    np.testing.assert_allclose(
        days.occupancy.sum(axis=4), np.broadcast_to(
            problem.types.probability[:, None], days.energy.shape
        ), rtol=1e-9,
    )  # fmt: skip
    first, second = days.energy[:, 0], days.energy[:, 1]
    together = days.square.sum(axis=1) + 2.0 * first * second
    np.testing.assert_allclose(days.total_square, together)
    np.testing.assert_allclose(days.others[:, 0], second)


def test_days_that_do_not_become_stationary_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small(houses=1)
    prices = some_prices(problem)
    policy = planner(problem).best(prices).policy
    monkeypatch.setattr(exact, "MAX_DAYS", 1)
    with pytest.raises(NotConverged, match="occupancy: still changes by"):
        typed_days(problem, policy)
