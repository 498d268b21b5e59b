"""What EscapeRoom's search and its trained leaders are described by."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.problem import Problem
from bilevelrl.problems.escape_room.outcomes import PLAY_COLUMNS, play
from bilevelrl.problems.escape_room.play_figure import play_by_step
from bilevelrl.problems.escape_room.search import search
from bilevelrl.problems.escape_room.settings import RoomSetting
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import roles_string

PARAMS = read_params()


def small():
    own = PARAMS.problem("escape_room")
    efforts = {"two_players": {"starts": 3, "num_updates": 20},
               "three_players": {"starts": 2, "num_updates": 3}}  # fmt: skip
    rooms = {
        name: room.model_copy(update=efforts[name]) for name, room in own.block.search.rooms.items()
    }
    less = own.block.search.model_copy(update={"rooms": rooms})
    block = own.block.model_copy(update={"search": less})
    return Problem(own.name, block, own.followers)


@pytest.fixture(scope="module")
def searched():
    return search(small(), None)


CASES = {"players=2;levers=1": (9.0, 18), "players=3;levers=2": (8.0, 81)}


def test_the_search_says_what_entropy_costs_in_every_room(searched):
    for entry in searched.entries:
        best_total, _ = CASES[entry["case"]]
        assert entry["best_total"] == best_total
        np.testing.assert_allclose(entry["price_of_entropy"], best_total - entry["best_known"])
        assert entry["initial_return"] < entry["best_known"] < best_total
    assert [(entry["case"], entry["variant"]) for entry in searched.entries] == [
        (case, variant) for case in CASES for variant in ("published", "corrected", "improved")
    ]
    names = ("improved_0.5", "improved_0.5_3_2")
    shapes = [searched.best_theta[name].shape for name in names]
    assert shapes == [(number,) for _, number in CASES.values()]
    assert searched.model["reward"].shape == (2, 9, 9)
    assert searched.model["reward_3_2"].shape == (3, 27, 27)
    assert len(searched.starts) == 3 * 3


@pytest.mark.parametrize(("case", "pure"), [("players=2;levers=1", 9), ("players=3;levers=2", 27)])
def test_the_first_equilibrium_of_each_theta_is_the_one_that_is_reported(searched, case, pure):
    table = searched.tables["equilibria"]
    table = table[table["case"] == case]
    first = table[table["equilibrium"] == 0].set_index("theta")["leader_return"]
    (entry,) = (
        each for each in searched.entries if (each["variant"], each["case"]) == ("improved", case)
    )
    np.testing.assert_allclose(first["zero"], entry["initial_return"], rtol=1e-9)
    np.testing.assert_allclose(first["best_known"], entry["best_known"], rtol=1e-9)
    at_zero = table.loc[table["theta"] == "zero", "leader_return"]
    assert entry["equilibria_at_zero"] == len(at_zero) > 1
    assert entry["principal_return_at_zero"] == first["zero"]
    bounds = entry["lowest_return_at_zero"], entry["highest_return_at_zero"]
    assert bounds == (at_zero.min(), at_zero.max())
    starts = table.groupby("theta")["starts"].sum()
    assert (starts == 1 + pure + 100).all()


def _cell(*leaders, failure=""):
    runs = [_run(theta, failure) for theta in leaders]
    return SimpleNamespace(runs=runs, leaders=leaders)


def _run(theta, failure):
    players = {18: 2, 81: 3}[len(theta)]
    conditions = {"temperature": 0.5, "players": players, "levers": players - 1}
    return SimpleNamespace(
        problem="escape_room", estimator="exact", variant="improved", setting=f"players={players}",
        seed=0, conditions=conditions, failure=failure, roles=roles_string(RoomSetting.roles),
    )  # fmt: skip


def test_who_is_paid_pulls_and_the_other_leaves():
    theta = np.full(18, -6.0)
    theta[9:] = 6.0  # the second player
    table = play(PARAMS.problem("escape_room"), _cell(theta))
    assert list(table.columns) == list(PLAY_COLUMNS)
    start = table[table["step"] == 0].set_index("player")
    assert start.loc[0, "payment"] > 1.9
    assert start.loc[1, "payment"] < 0.1
    assert start.loc[0, "lever"] > 0.8
    assert (start["lasting"] == 1.0).all()
    # Nothing is discounted, so that there is no hurry to leave.
    assert table[table["player"] == 1]["door"].sum() > 0.8
    assert (np.diff(table[table["player"] == 0]["lasting"]) < 0.0).all()
    assert (table["lever"] + table["door"] <= table["lasting"] + 1e-12).all()


def test_every_leader_plays_in_its_own_room_and_one_without_a_result_in_none():
    found = play(PARAMS.problem("escape_room"), _cell(np.zeros(18), np.zeros(81)))
    sizes = found.groupby("case")["player"].nunique()
    assert sizes.to_dict() == {"players=2;levers=1": 2, "players=3;levers=2": 3}
    failed = _cell(np.full(18, np.nan), failure="NotConverged")
    assert play(PARAMS.problem("escape_room"), failed).empty


def test_the_figure_has_a_column_per_estimator_and_a_placeholder():
    table = play(PARAMS.problem("escape_room"), _cell(np.zeros(18)))
    both = table.assign(estimator="bc_hg")
    assert len(play_by_step(table[:0], 2.0).axes) == 1
    assert len(play_by_step(pd.concat([table, both], ignore_index=True), 2.0).axes) == 6
