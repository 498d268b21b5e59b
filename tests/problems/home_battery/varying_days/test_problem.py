"""Types of days, and what houses need on them."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.problems.home_battery.profiles import mean_days
from bilevelrl.problems.home_battery.varying_days.day_types import DayTypes, day_types
from tests.problems.home_battery.varying_days.days import small, some_prices


def test_factors_have_mean_one_and_the_spread_and_are_independent() -> None:
    types = day_types(0.2)
    assert types.number == 9
    for factors in (types.load, types.solar):
        for power, moment in [(0, 1.0), (1, 0.0), (2, 0.04), (3, 0.0), (4, 3 * 0.04**2)]:
            found = (types.probability * (factors - 1.0) ** power).sum()
            assert found == pytest.approx(moment, abs=1e-12)
    joint = types.probability * (types.load - 1.0) * (types.solar - 1.0)
    assert joint.sum() == pytest.approx(0.0, abs=1e-12)
    assert day_types(0.0).number == 1


def test_demand_and_forecast_of_a_type_are_those_of_the_mean_day_times_its_factors() -> None:
    problem, days = small(3), mean_days(3)
    load, solar = problem.types.load, problem.types.solar
    expected = (
        load[:, None] * days.load[:, None] - 4.0 * solar[:, None] * days.solar[:, None]
    )  # fmt: skip
    np.testing.assert_allclose(problem.net, expected)
    told = np.stack(
        [load[:, None] * days.load.mean(axis=0), 4.0 * solar[:, None] * days.solar.mean(axis=0)],
        axis=2,
    )
    np.testing.assert_allclose(problem.forecast, told)
    np.testing.assert_allclose(problem.net.mean(axis=0), told[..., 0] - told[..., 1])
    noise = 0.04 * ((load[:, None] * days.load[:, None]) ** 2
                    + (4.0 * solar[:, None] * days.solar[:, None]) ** 2)  # fmt: skip
    np.testing.assert_allclose(problem.variance, noise)


def test_the_pull_to_the_target_is_a_mean_over_days() -> None:
    problem = small()
    prices = some_prices(problem)
    cost, slope = problem.tariff_cost(prices), problem.tariff_slope(prices)
    for m in range(9):
        move = np.zeros_like(prices)
        move[:, m, 3] = 1e-6
        found = (problem.tariff_cost(prices - move) - problem.tariff_cost(prices + move)) / 2e-6
        np.testing.assert_allclose(found, slope[:, m, 3], rtol=1e-6)
    same = np.repeat(prices[:, :1], 9, axis=1)
    alike = problem.houses.tariff_cost(same[:, 0])
    np.testing.assert_allclose(problem.tariff_cost(same), alike)
    assert (cost > 0.0).all()


@pytest.mark.parametrize(
    ("load", "probability", "message"),
    [
        ([1.0, -0.1], [0.5, 0.5], "load must be 2 factors from 0 on"),
        ([1.0], [0.5, 0.5], "load must be 2 factors from 0 on"),
        ([1.0, 1.0], [0.5, 0.6], "probability must be positive and sum to 1"),
    ],
)
def test_impossible_types_are_refused(
    load: list[float], probability: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DayTypes(np.array(load), np.ones(2), np.array(probability))


def test_what_is_not_of_all_types_is_refused() -> None:
    problem = small()
    with pytest.raises(ValueError, match="demands: 9 are needed, got 8"):
        replace(problem, demands=problem.demands[:8])
    with pytest.raises(ValueError, match="forecast: one a type is needed"):
        replace(problem, forecast=problem.forecast[:8])
    with pytest.raises(ValueError, match="demands must be those of the same houses"):
        replace(problem, demands=small(3).demands)
    with pytest.raises(ValueError, match=r"noise must lie in \[0, 1/√3\]"):
        day_types(0.6)
