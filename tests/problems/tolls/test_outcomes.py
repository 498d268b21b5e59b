"""What trained planners make of the roads, and what it looks like."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from bilevelrl.problems.tolls.estimator_settings import TollsSetting
from bilevelrl.problems.tolls.links import LINK_COLUMNS, link_table
from bilevelrl.problems.tolls.network_figure import networks
from bilevelrl.problems.tolls.outcomes import PRICED_COLUMNS, priced_links
from bilevelrl.problems.tolls.pictures import draw
from bilevelrl.problems.tolls.problem import Pricing
from bilevelrl.problems.tolls.way_figure import CASES, cosines, ways
from bilevelrl.runs.records import CURVE_COLUMNS, Cell, roles_string
from tests.problems.tolls.cases import PROBLEM
from tests.settings import identity

ROLES = roles_string(TollsSetting.roles)
SETTING = "follower=exact;information=actions;{};temperature=1.0;trips_per_update=1000"
MAIN = SETTING.format("objective=tstt;rationality=1;tollable=18")


def cell_of(theta: np.ndarray, *seeds: int, setting: str = MAIN) -> Cell:
    runs = tuple(
        identity("tolls", "bc_hg", "improved", setting, seed, "key", roles=ROLES) for seed in seeds
    )
    return Cell(runs, theta, pd.DataFrame(columns=list(CURVE_COLUMNS)))


def test_links_of_the_first_seed_are_told() -> None:
    theta = np.vstack([np.full(18, 9.0), np.linspace(0.0, 5.0, 18)])
    padded = np.full((2, 76), np.nan)
    padded[:, :18] = theta
    found = priced_links(PROBLEM, cell_of(padded, 7, 3))
    assert list(found) == list(PRICED_COLUMNS)
    assert (found["seed"] == 3).all()
    pricing = Pricing.published()
    roads = pricing.roads("tstt", 18)
    expected = link_table(roads, theta[1], 1.0, PROBLEM.followers.tolerance)
    for name in LINK_COLUMNS:
        np.testing.assert_array_equal(found[name], expected[name])
    charged = found.set_index("link")["toll"]
    np.testing.assert_array_equal(charged[list(pricing.toll_links)], theta[1])
    assert (found["time_ratio"] >= 1.0).all()


def test_studies_are_left_out() -> None:
    study = MAIN + ";study=net_cost"
    assert priced_links(PROBLEM, cell_of(np.zeros((1, 18)), 0, setting=study)).empty


def test_roads_are_drawn_as_wide_as_their_toll() -> None:
    table = link_table(Pricing.published().roads("tstt", 18), np.full(18, 5.0), 1.0, 1e-10)
    figure = networks({"before": table.assign(toll=0.0), "after": table})
    before, after = (
        next(each for each in ax.collections if isinstance(each, LineCollection))
        for ax in figure.axes[:2]
    )
    assert len(set(before.get_linewidths())) == 1  # type: ignore[arg-type]
    widths = np.array(after.get_linewidths())
    assert (widths > np.array(before.get_linewidths())).sum() == 18
    np.testing.assert_array_equal(after.get_array(), table["time_ratio"])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["before", "after"]
    empty = networks({"before": table[:0]})
    assert "not in this grid" in empty.axes[0].texts[0].get_text()


def way_rows(case: str, mean: float, worst: float) -> list[dict[str, object]]:
    shared = {"estimator": "bc_hg", "variant": "improved", "case": case}
    return [
        shared | {"metric": "way_mean", "value": mean, "low": mean - 0.1, "high": mean + 0.05},
        shared | {"metric": "way_worst_seed", "value": worst, "low": np.nan, "high": np.nan},
    ]


def test_the_way_has_a_panel_per_case_and_says_who_is_far_off() -> None:
    first, second, *_ = CASES
    figure = ways(pd.DataFrame(way_rows(first, 0.8, 0.7) + way_rows(second, -7.0, -9.0)))
    assert [ax.get_title() for ax in figure.axes] == list(CASES.values())
    drawn = [list(line.get_xdata()) for line in figure.axes[0].lines]  # type: ignore[arg-type]
    assert [0.8] in drawn
    assert [0.7] in drawn
    assert [text.get_text() for text in figure.axes[1].texts] == ["◀ −7.0"]
    assert "not in this grid" in ways(pd.DataFrame(columns=["metric"])).axes[0].texts[0].get_text()


def test_cosines_have_a_line_per_rung_and_a_panel_per_point() -> None:
    rows = [
        {"point": point, "estimator": "bc_hg", "variant": "improved", "note": note,
         "env_steps_per_update": budget, "cosine_mean": 0.001 * budget}
        for point in ("no toll", "half")
        for note in ("", "newest trips")
        for budget in (1000, 300)
    ]  # fmt: skip
    figure = cosines(pd.DataFrame(rows))
    assert [ax.get_title() for ax in figure.axes] == ["no toll", "half"]
    for ax in figure.axes:
        lines = [line for line in ax.lines if "BC-HG" in str(line.get_label())]
        assert len(lines) == 2
        np.testing.assert_allclose(lines[0].get_ydata(), [0.3, 1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [18, 76])
def test_a_picture_is_drawn_for_mlflow(number: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    draw(np.full(number, 4.0), tmp_path)
    assert (tmp_path / "tolls.png").stat().st_size > 1000
