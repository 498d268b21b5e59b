"""What trained leaders make of a day, and what it looks like."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from bilevelrl.problems.home_battery.cell import exact_planner, make_problem
from bilevelrl.problems.home_battery.day_figure import day_panels
from bilevelrl.problems.home_battery.days import DAY_COLUMNS, day_table
from bilevelrl.problems.home_battery.estimator_settings import HomeBatterySetting
from bilevelrl.problems.home_battery.exact import mean_day
from bilevelrl.problems.home_battery.outcomes import PRICED_COLUMNS, priced_days
from bilevelrl.problems.home_battery.pictures import draw
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.search import time_of_use
from bilevelrl.problems.home_battery.tradeoff_figure import tradeoff
from bilevelrl.problems.home_battery.way_figure import STUDIES, ways
from bilevelrl.runs.records import CURVE_COLUMNS, Cell, roles_string
from tests.problems.home_battery.cases import BLOCK, PROBLEM
from tests.settings import identity

ROLES = roles_string(HomeBatterySetting.roles)
MAIN = (
    "days_per_update=64;follower=exact;houses=4;information=actions;leader=prices;"
    "tariff_weight=0.5;temperature=0.05"
)


def cell_of(theta: np.ndarray, *seeds: int, setting: str = MAIN) -> Cell:
    runs = tuple(
        identity("home_battery", "bc_hg", "improved", setting, seed, "key", roles=ROLES)
        for seed in seeds
    )
    return Cell(runs, theta, pd.DataFrame(columns=list(CURVE_COLUMNS)))


def planner(houses: int) -> ExactPlanner:
    return exact_planner(
        make_problem(BLOCK.constants, houses, 0.5), np.array([0.05]), PROBLEM.followers
    )


def test_days_of_the_first_seed_are_told() -> None:
    theta = np.vstack([np.full(24, 0.4), time_of_use()])
    found = priced_days(PROBLEM, cell_of(theta, 7, 3))
    assert list(found) == list(PRICED_COLUMNS)
    assert (found["seed"] == 3).all()
    assert (found["case"] == "houses=4;tariff_weight=0.5").all()
    expected = day_table(planner(4), theta[1])
    for name in DAY_COLUMNS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_studies_are_left_out() -> None:
    study = MAIN + ";study=houses_4"
    assert priced_days(PROBLEM, cell_of(np.zeros((1, 24)), 0, setting=study)).empty


def test_a_day_is_that_of_all_houses_together() -> None:
    own = planner(4)
    table = day_table(own, time_of_use())
    days = mean_day(own.problem, own.best(time_of_use()[None]).policy)
    np.testing.assert_allclose(table["energy"], days.energy[0].sum(axis=0))
    np.testing.assert_allclose(table["charge"], days.charge[0].sum(axis=0))
    np.testing.assert_allclose(table["without_battery"], own.problem.demand.mean.sum(axis=0))


def test_days_stand_beside_one_another_with_their_peaks() -> None:
    table = day_table(planner(1), time_of_use())
    figure = day_panels({"before": table, "after": table.assign(energy=0.0), "none": table[:0]})
    assert [ax.get_title() for ax in figure.axes[:3]] == ["before", "after", "none"]
    noted = [[text.get_text() for text in ax.texts] for ax in figure.axes[3:6]]
    assert noted == [[f"{table['energy'].max():.2f} kWh\nat 21 h"], ["0.00 kWh\nat 0 h"], []]
    empty = day_panels({"before": table[:0]})
    assert "not in this grid" in empty.axes[0].texts[0].get_text()


def test_the_main_weight_is_marked_on_the_tradeoff() -> None:
    rows = {"tariff_weight": [1.0, 0.1], "peak_cost": [3.0, 2.0], "bill": [4.0, 5.0]}
    figure = tradeoff(pd.DataFrame(rows), 1.0)
    line, marked = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [5.0, 4.0])
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 3.0])
    np.testing.assert_array_equal(marked.get_xdata(), [4.0])
    assert [text.get_text() for text in figure.axes[0].texts] == ["λ = 0.1", "λ = 1"]
    empty = tradeoff(pd.DataFrame(rows)[:0], 1.0)
    assert "not in this grid" in empty.axes[0].texts[0].get_text()


def way_rows(study: str, setting: str, mean: float, worst: float) -> list[dict[str, object]]:
    shared = {"estimator": "bc_hg", "variant": "improved", "study": study, "setting": setting}
    return [
        shared | {"metric": "way_mean", "value": mean, "low": mean - 0.1, "high": mean + 0.05},
        shared | {"metric": "way_worst_seed", "value": worst, "low": np.nan, "high": np.nan},
    ]


def test_the_way_has_a_line_per_setting_and_says_who_is_far_off() -> None:
    rows = (
        way_rows("learning_follower", "follower=soft_q;follower_steps=2400", 1.3, -9.0)
        + way_rows("learning_follower", "follower=sac;follower_steps=3600;limits=cut", 0.7, 0.5)
        + way_rows("identified", "follower=sac;follower_steps=3600;limits=cut", 0.95, 0.9)
        + way_rows("houses_4", "follower=exact", 0.9, 0.6)
        + way_rows("main", "follower=exact", 0.8, 0.7)
    )
    (ax,) = ways(pd.DataFrame(rows)).axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert [name.partition(", ")[2] for name in names] == [
        "improved", "improved, identified, houses learn by SAC, cut, 3600",
        "improved, houses learn by SAC, cut, 3600", "improved, houses learn, 2400",
        "improved, 4 houses",
    ]  # fmt: skip
    drawn = [list(line.get_xdata()) for line in ax.lines]
    for value in (0.8, 0.7, 0.9, 0.6, 1.3):
        assert [value] in drawn
    assert ax.get_xlim()[1] > 1.3
    assert [text.get_text() for text in ax.texts] == ["◀ worst seed −9.0"]
    assert "not in this grid" in ways(pd.DataFrame(columns=["metric"])).axes[0].texts[0].get_text()


def test_every_study_of_the_grid_has_a_name_on_the_way() -> None:
    settings = (BLOCK.settings("home_battery", estimator) for estimator in BLOCK.cells)
    studies = {setting.study for found in settings for _, setting in found}
    assert len(studies) > 10
    assert studies - {None} <= STUDIES.keys()


@pytest.mark.parametrize("prices", [np.full(24, 0.3), time_of_use()])
def test_a_picture_is_drawn_for_mlflow(prices: np.ndarray, tmp_path: Path) -> None:
    draw(prices, tmp_path)
    assert imread(tmp_path / "day.png").shape[:2] == (320, 352)


def test_a_network_is_not_drawn(tmp_path: Path) -> None:
    draw(np.zeros(1985), tmp_path)
    assert not [*tmp_path.iterdir()]
