"""What EscapeRoom's search and its trained leaders are described by."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.problem import Problem
from bilevelrl.problems.escape_room.outcomes import PLAY_COLUMNS, play
from bilevelrl.problems.escape_room.play_figure import play_by_step
from bilevelrl.problems.escape_room.search import search
from bilevelrl.runs.params import read_params

PARAMS = read_params()


def small(problem="escape_room_2", **changes):
    own = PARAMS.problem(problem)
    less = own.block.search.model_copy(update={"starts": 3, "num_updates": 20, **changes})
    block = own.block.model_copy(update={"search": less})
    return Problem(own.name, block, own.followers)


@pytest.fixture(scope="module")
def searched():
    return search(small(), None)


def test_the_search_says_what_entropy_costs(searched):
    for entry in searched.entries:
        assert entry["best_total"] == 9.0
        np.testing.assert_allclose(entry["price_of_entropy"], 9.0 - entry["best_known"])
        assert entry["initial_return"] < entry["best_known"] < 9.0
    assert {entry["variant"] for entry in searched.entries} == {
        "published", "corrected", "improved",
    }  # fmt: skip
    assert searched.best_theta["improved_0.5"].shape == (18,)


def test_the_first_equilibrium_of_each_theta_is_the_one_that_is_reported(searched):
    table = searched.tables["equilibria"]
    first = table[table["equilibrium"] == 0].set_index("theta")["leader_return"]
    (entry,) = [each for each in searched.entries if each["variant"] == "improved"]
    np.testing.assert_allclose(first["zero"], entry["initial_return"], rtol=1e-9)
    np.testing.assert_allclose(first["best_known"], entry["best_known"], rtol=1e-9)
    assert len(table[table["theta"] == "zero"]) > 1
    starts = table.groupby("theta")["starts"].sum()
    assert (starts == 1 + 9 + 100).all()


def _cell(theta):
    run = SimpleNamespace(
        problem="escape_room_2", estimator="exact", variant="improved", setting="temperature=0.5",
        seed=0, conditions={"temperature": 0.5},
    )  # fmt: skip
    return SimpleNamespace(runs=[run], theta=[theta])


def test_who_is_paid_pulls_and_the_other_leaves():
    theta = np.full(18, -6.0)
    theta[9:] = 6.0  # the second player
    table = play(PARAMS.problem("escape_room_2"), _cell(theta))
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


def test_the_figure_has_a_column_per_estimator_and_a_placeholder():
    table = play(PARAMS.problem("escape_room_2"), _cell(np.zeros(18)))
    both = table.assign(estimator="bc_hg")
    assert len(play_by_step(table[:0], 2.0).axes) == 1
    assert len(play_by_step(pd.concat([table, both], ignore_index=True), 2.0).axes) == 6
