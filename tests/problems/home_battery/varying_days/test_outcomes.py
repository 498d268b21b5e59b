"""Days of trained networks as tables and as a figure."""

import numpy as np
import pandas as pd

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.estimator_settings import HomeBatterySetting
from bilevelrl.problems.home_battery.varying_days.days import TYPED_COLUMNS, typed_table
from bilevelrl.problems.home_battery.varying_days.exact import typed_days
from bilevelrl.problems.home_battery.varying_days.forecast_figure import forecast_panels
from bilevelrl.problems.home_battery.varying_days.outcomes import NETWORK_COLUMNS, network_days
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.tariffs import NetworkPrices
from bilevelrl.runs.records import CURVE_COLUMNS, Cell, roles_string
from tests.problems.home_battery.cases import PROBLEM, build, setting
from tests.problems.home_battery.varying_days.days import small, some_prices
from tests.settings import identity

NETWORK = (
    "day_spread=0.2;follower=exact;houses=1;information=full;leader={};study=network;"
    "tariff_weight=0.5;temperature=0.05"
)

ROLES = roles_string(HomeBatterySetting.roles)


def cell_of(theta: np.ndarray, *seeds: int, leader: str = "network") -> Cell:
    runs = tuple(
        identity(
            "home_battery", "exact", "corrected", NETWORK.format(leader), seed, "key",
            hyperparameters={"network_width": 5}, roles=ROLES,
        )
        for seed in seeds
    )  # fmt: skip
    return Cell(runs, theta, pd.DataFrame(columns=list(CURVE_COLUMNS)))


def test_days_of_the_first_seed_of_a_network_are_told() -> None:
    game = build("exact", [setting("exact", "network", network_width=5)]).game
    tariff: NetworkPrices = game.tariff
    theta = tariff.start(2, Streams([1, 2]))
    theta += np.random.default_rng(0).normal(0.0, 0.3, theta.shape)
    found = network_days(PROBLEM, cell_of(theta, 7, 3))
    assert list(found) == list(NETWORK_COLUMNS)
    assert (found["seed"] == 3).all()
    assert (found["case"] == "houses=1;tariff_weight=0.5;day_spread=0.2").all()
    expected = typed_table(game.exact, tariff.prices(theta[1:])[0])
    for name in TYPED_COLUMNS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)
    assert network_days(PROBLEM, cell_of(np.zeros((1, 24)), 0, leader="prices")).empty


def test_a_table_of_types_has_the_days_of_all_houses() -> None:
    problem = small(2)
    planner = VaryingPlanner(problem, np.array([0.05]))
    prices = some_prices(problem)[0]
    table = typed_table(planner, prices)
    days = typed_days(problem, planner.best(prices[None]).policy)
    own = table[(table["load_factor"] == problem.types.load[5]) & (
        table["solar_factor"] == problem.types.solar[5])]  # fmt: skip
    np.testing.assert_array_equal(own["hour"], range(24))
    np.testing.assert_array_equal(own["price"], prices[5])
    np.testing.assert_allclose(own["energy"], days.energy[0, :, 5].sum(axis=0))
    np.testing.assert_allclose(own["charge"], days.charge[0, :, 5].sum(axis=0))
    np.testing.assert_allclose(own["without_battery"], problem.net[:, 5].sum(axis=0))
    likely = table.groupby(["load_factor", "solar_factor"])["probability"].first()
    assert abs(likely.sum() - 1.0) < 1e-12


def test_three_days_are_drawn_with_a_line_per_tariff() -> None:
    problem = small(1)
    planner = VaryingPlanner(problem, np.array([0.05]))
    table = typed_table(planner, some_prices(problem)[0])
    own = table.assign(price=0.1, load_factor=table["load_factor"].round(10))  # as from a file
    figure = forecast_panels({"fixed": table, "none": table[:0], "own": own})
    titles = [ax.get_title().splitlines() for ax in figure.axes[:3]]
    assert titles[0] == ["dark, high load", "load × 1.35, sunshine × 0.65"]
    assert titles[2] == ["sunny, low load", "load × 0.65, sunshine × 1.35"]
    drawn = [[step.get_data().values for step in ax.patches] for ax in figure.axes[:3]]
    assert [len(each) for each in drawn] == [2, 2, 2]
    dark = (table["load_factor"] > 1.3) & (table["solar_factor"] < 0.7)
    np.testing.assert_array_equal(drawn[0][0], table[dark]["price"])
    np.testing.assert_array_equal(drawn[0][1], np.full(24, 0.1))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fixed", "own"]
    empty = forecast_panels({"fixed": table[:0]})
    assert "not in this grid" in empty.axes[0].texts[0].get_text()
