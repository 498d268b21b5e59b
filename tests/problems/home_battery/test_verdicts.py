"""Three verdicts on every update, and what they look like."""

import numpy as np
import pandas as pd

from bilevelrl.core.error_parts import PARTS, SQUARE
from bilevelrl.problems.home_battery.verdicts import VERDICT_COLUMNS, verdicts
from bilevelrl.problems.home_battery.verdicts_figure import verdict_panels
from bilevelrl.runs.records import COORDINATE_COLUMNS, CURVE_COLUMNS, Cell
from tests.settings import identity

SHARED = (
    "days_per_update=64;{};houses=1;information=actions;leader=prices;start=carry;"
    "tariff_weight=0.5;temperature=0.05"
)
SAC = SHARED.format("follower=sac;follower_steps=3600;limits=cut")
EXACT = SHARED.format("follower=exact")
PLANNING = SHARED.format("days=1;follower=truncated")


def cell_of(*settings: str) -> Cell:
    runs = tuple(
        identity("home_battery", "bc_hg", "improved", setting, seed, "key")
        for setting in settings
        for seed in (0, 1)
    )
    curves, coordinates = [], []
    for run in runs:
        known = {name: getattr(run, name) for name in list(CURVE_COLUMNS)[:4]} | {"seed": run.seed}
        for update in range(3):
            numbers = dict.fromkeys(list(CURVE_COLUMNS)[6:], 0.0)
            numbers |= {"played_return": 10.0 * run.seed + update, "leader_return_optimal": -1.0}
            curves.append(known | {"update": update, "cosine": 0.5} | numbers | {"cosine": 0.5})
            told = {"peak": 5.0}
            if "exact" not in run.setting:
                told |= dict(zip((*PARTS, SQUARE), (1.0, -2.0, 3.0, 4.0), strict=True))
            coordinates += [
                known | {"update": update, "coordinate": name, "value": value + update}
                for name, value in told.items()
            ]
    return Cell(
        runs,
        np.zeros((len(runs), 24)),
        pd.DataFrame(curves)[list(CURVE_COLUMNS)].astype(CURVE_COLUMNS),
        pd.DataFrame(coordinates)[list(COORDINATE_COLUMNS)].astype(COORDINATE_COLUMNS),
    )


def test_every_update_of_a_follower_that_may_lag_is_judged() -> None:
    found = verdicts(cell_of(SAC, EXACT))
    assert list(found) == list(VERDICT_COLUMNS)
    assert set(found["setting"]) == {SAC}
    assert (found["follower"] == "sac").all()
    row = found[(found["seed"] == 1) & (found["update"] == 2)].iloc[0]
    told = ["played_return", "leader_return_optimal", "cosine", *PARTS, SQUARE]
    assert row[told].tolist() == [12.0, -1.0, 0.5, 3.0, 0.0, 5.0, 6.0]
    assert len(found) == 6


def test_nobody_is_judged_who_plays_the_best_response() -> None:
    found = verdicts(cell_of(EXACT))
    assert found.empty
    assert found.dtypes.astype(str).to_dict() == VERDICT_COLUMNS


def test_a_figure_has_a_column_per_follower_and_hides_what_is_below_zero() -> None:
    figure = verdict_panels(verdicts(cell_of(SAC, PLANNING)))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:2] == [
        "planning, carry,\n1 day",
        "soft actor-critic, cut,\n3600 hours an answer",
    ]
    above, below = figure.axes[0], figure.axes[2]
    assert list(above.lines[0].get_ydata()) == [5.0, 6.0, 7.0]  # mean over seeds
    assert list(below.lines[0].get_ydata()) == [1.0, 2.0, 3.0]
    assert np.isnan(below.lines[1].get_ydata()).all()
    assert below.get_yscale() == "log"


def test_without_judged_runs_a_placeholder_is_drawn() -> None:
    empty = verdict_panels(pd.DataFrame(columns=list(VERDICT_COLUMNS)))
    assert "not in this grid" in empty.axes[0].texts[0].get_text()
