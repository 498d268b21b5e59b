"""The best known tariffs: nothing near is better, every start leads there, tables agree with J."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.search import Searched
from bilevelrl.evaluation.inputs import BASELINE_COLUMNS
from bilevelrl.problems.home_battery.cell import exact_planner, make_problem
from bilevelrl.problems.home_battery.search import (
    DAYS_TABLE,
    FORECAST_TABLE,
    TRADEOFF_TABLE,
    Climber,
    search,
    starts,
    time_of_use,
)
from bilevelrl.problems.home_battery.varying_days.cell import make_varying_days
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.search import VaryingClimber
from tests.problems.home_battery.cases import BEST, BLOCK, FLAT, PROBLEM

CASE = "houses=1;tariff_weight=0.5"


def climber(houses: int = 1, tariff_weight: float = 0.5) -> Climber:
    battery = make_problem(BLOCK.constants, houses, tariff_weight)
    return Climber(exact_planner(battery, np.array([0.05]), PROBLEM.followers))


def test_every_start_leads_to_the_same_tariff_and_nothing_near_is_better() -> None:
    own = climber()
    assert own.value(np.full(24, 0.30)) == pytest.approx(FLAT, abs=1e-10)
    found = [own.climb(start, 1000) for _, start in starts(BLOCK.search)]
    for prices, value in found:
        assert value == pytest.approx(BEST, abs=1e-8)
        np.testing.assert_allclose(prices, found[0][0], atol=1e-3)
    generator = np.random.default_rng(1)
    for _ in range(20):
        near = np.clip(found[0][0] + generator.normal(0.0, 0.03, 24), 0.0, 1.0)
        assert own.value(near) < BEST


@cache
def searched() -> Searched:
    few = {
        "num_evaluations": 40,
        "random_starts": 1,
        "houses": (1, 4),
        "tariff_weights": (0.1, 2.0),
        "varying_houses": (1,),
    }
    block = BLOCK.model_copy(update={"search": BLOCK.search.model_copy(update=few)})
    own = type(PROBLEM)("home_battery", block, PROBLEM.followers)
    return search(own, None)  # type: ignore[arg-type]


def test_every_case_has_a_baseline_and_prices() -> None:
    entries: list[dict[str, Any]] = searched().entries
    assert {each["case"] for each in entries} == {
        CASE, "houses=4;tariff_weight=0.5", "houses=1;tariff_weight=0.5;day_spread=0.2",
    }  # fmt: skip
    assert len(entries) == 9
    for each in entries:
        assert set(BASELINE_COLUMNS) - {"problem"} <= each.keys()
        assert each["share_origin"] == each["initial_return"] == each["flat_return"]
        another = "best_fixed_return" if "day_spread" in each["case"] else "time_of_use_return"
        worse, better = sorted([each[another], each["flat_return"]])
        assert worse < better < each["best_known"]
    assert entries[0]["case"] == CASE
    best = searched().best_theta["improved_0.05"]
    assert climber().value(best) == entries[0]["best_known"]
    assert climber(4).value(searched().best_theta["improved_0.05_4"]) == entries[3]["best_known"]


def test_days_are_told_under_every_tariff_with_the_rebound_of_the_data_s_own() -> None:
    table = searched().tables["days"]
    assert list(table) == list(DAYS_TABLE)
    assert len(table) == 2 * 3 * 24
    own = table[table["case"] == CASE].set_index(["state", "hour"])
    np.testing.assert_array_equal(own.loc["time of use", "price"], time_of_use())
    energy = own["energy"]
    assert energy["time of use"].idxmax() == 21
    assert energy["time of use"].max() > 2.0 * energy["flat"].max()
    assert energy["best known"].max() < energy["flat"].max()
    assert energy["flat"].max() < own.loc["flat", "without_battery"].max()


def test_what_pulls_less_to_the_target_price_cuts_more_of_the_peaks_at_a_higher_bill() -> None:
    table = searched().tables["tradeoff"].set_index("tariff_weight")
    assert [*table.reset_index()] == [
        "tariff_weight", *(name for name in TRADEOFF_TABLE if name != "tariff_weight")
    ]  # fmt: skip
    assert table.loc[0.1, "peak_cost"] < table.loc[2.0, "peak_cost"]
    assert table.loc[0.1, "bill"] > table.loc[2.0, "bill"]
    own = climber(tariff_weight=2.0)
    best, value = own.climb(np.full(24, 0.30), 40)
    assert table.loc[2.0, "leader_return"] == value
    assert table.loc[2.0, "mean_price"] == pytest.approx(best.mean())
    cost = float(own.problem.tariff_cost(best[None])[0])
    assert table.loc[2.0, "peak_cost"] == pytest.approx(-value - cost)


def test_the_best_prices_of_types_are_above_the_best_fixed_ones_and_stand_in_the_table() -> None:
    entry = next(each for each in searched().entries if "best_fixed_return" in each)
    assert entry["flat_return"] < entry["best_fixed_return"] < entry["best_known"]
    table = searched().tables["forecast_days"]
    assert list(table) == list(FORECAST_TABLE)
    assert len(table) == 3 * 9 * 24
    best = searched().best_theta["improved_0.05_1_0.2"].reshape(9, 24)
    told = table[table["state"] == "best known"]
    np.testing.assert_array_equal(told["price"].to_numpy().reshape(9, 24), best)
    fixed = table[table["state"] == "best fixed"]["price"].to_numpy().reshape(9, 24)
    np.testing.assert_array_equal(fixed, fixed[:1].repeat(9, axis=0))
    problem = make_varying_days(BLOCK.constants, 1, 0.5, 0.2)
    own = VaryingClimber(VaryingPlanner(problem, np.array([0.05])), 40)
    assert own.value(best) == pytest.approx(entry["best_known"], abs=1e-10)
    assert own.value(fixed) == pytest.approx(entry["best_fixed_return"], abs=1e-10)


def test_starts_are_the_flat_tariff_and_random_ones() -> None:
    found = dict(starts(BLOCK.search))
    np.testing.assert_array_equal(found.pop("flat"), 0.30)
    assert len(found) == BLOCK.search.random_starts
    assert len({each.tobytes() for each in found.values()}) == len(found)
    for each in found.values():
        assert (each >= 0.0).all()
        assert (each <= BLOCK.search.largest_start).all()
