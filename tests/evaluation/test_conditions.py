"""What tells settings apart, from runs to the columns of every table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.conditions import (
    CONDITION_COLUMNS,
    GROUP,
    conditions_of,
    read_conditions,
    reported,
    spread_study,
    stacked,
    study_of,
    with_conditions,
)
from bilevelrl.runs.records import RunIdentity
from bilevelrl.runs.table_files import CorruptRecord, write_csv
from tests.settings import conditioned, identity

EXACT = "follower=exact;information=full"
MAIN = f"env_steps_per_update=400;{EXACT};temperature=0.003"
TRUNCATED = (
    "env_steps_per_update=100;follower=truncated;information=full;policy_iterations=5;start=carry;"
    "temperature=0.003"
)
SPREAD = f"env_steps_per_update=100;{EXACT};initial_spread=3.0;temperature=0.003"
LEARNING = (
    "env_steps_per_update=100;first_follower_steps=200;follower=soft_q;follower_steps=100;"
    "information=full;start=carry;temperature=0.003"
)
WATCHING = MAIN.replace("full", "rewards")
PLANNED = f"belief=planned;{WATCHING}"


def table_of(settings: list[str], index: list[int] | None = None) -> pd.DataFrame:
    table = pd.DataFrame({"setting": settings}, index=index)
    return table.assign(problem="four_rooms", estimator="bc_hg", variant="published")


@pytest.mark.parametrize(
    ("setting", "study"),
    [
        (MAIN, "main"),
        ("temperature=0.003", "main"),
        (f"{EXACT};temperature=0.003", "main"),
        (f"{MAIN};return=discounted", "main"),
        (f"{MAIN};study=clipped", "clipped"),
        (TRUNCATED, "truncated_follower"),
        (SPREAD, "initial_spread"),
        (SPREAD + ";width=3", "other"),
        (LEARNING, "learning_follower"),
        (LEARNING.replace("soft_q", "sac").replace("full", "rewards"), "learning_follower"),
        ("follower=sac;information=rewards;study=main;temperature=0.2", "main"),
        (WATCHING, "information"),
        (MAIN.replace("full", "actions"), "information"),
        (PLANNED, "information"),
        (WATCHING + ";width=3", "other"),
        (f"believed_temperature=0.006;{WATCHING}", "believed_temperature"),
    ],
)
def test_study_is_told_by_the_conditions(setting: str, study: str) -> None:
    assert study_of(identity("four_rooms", "bc_hg", "published", setting, 0)) == study


ROOMS = "players=case;levers=case;rationality=main;trips_per_update=budget"
ROOM = "levers=1;players=2;temperature=0.5"


@pytest.mark.parametrize(
    ("setting", "study"),
    [
        (ROOM, "main"),
        (f"{ROOM};information=actions;rationality=2;trips_per_update=10", "main"),
        (f"{ROOM};follower=soft_q", "learning_follower"),
        (f"{ROOM};width=3", "other"),
    ],
)
def test_problems_say_what_their_conditions_are_for(setting: str, study: str) -> None:
    assert study_of(identity("rooms", "bc_hg", "published", setting, 0, roles=ROOMS)) == study
    row = conditioned(table_of([setting]), roles=ROOMS).iloc[0]
    assert row["case"] == "players=2;levers=1"  # in the order of the roles
    assert row["budget"] == (10 if "trips" in setting else 0)
    assert "trips" not in row["setting_without_budget"] + row["special"]


def test_conditions_become_columns_row_by_row() -> None:
    settings = [SPREAD, MAIN, TRUNCATED, "temperature=0.001", MAIN, LEARNING, PLANNED]
    table = conditioned(table_of(settings, [5, 3, 9, 1, 2, 7, 6]))
    assert table.index.tolist() == [5, 3, 9, 1, 2, 7, 6]
    assert table["setting"].tolist() == settings
    assert list(table)[-len(CONDITION_COLUMNS) :] == list(CONDITION_COLUMNS)
    assert table["budget"].tolist() == [100, 400, 100, 0, 400, 100, 400]
    assert table["initial_spread"].iloc[0] == 3.0
    assert table["initial_spread"].iloc[1:].isna().all()  # the problem's own
    assert table["policy_iterations"].tolist() == [0, 0, 5, 0, 0, 0, 0]
    assert table["start"].tolist() == ["", "", "carry", "", "", "carry", ""]
    assert np.allclose(table["temperature"], [0.003, 0.003, 0.003, 0.001, *[0.003] * 3])
    solved = ["exact", "exact", "truncated", "exact", "exact", "soft_q", "exact"]
    assert table["follower"].tolist() == solved
    assert table["information"].tolist() == ["full"] * 6 + ["rewards"]
    assert table["belief"].tolist() == [""] * 6 + ["planned"]
    studies = ["initial_spread", "main", "truncated_follower", "main", "main"]
    assert table["study"].tolist() == [*studies, "learning_follower", "information"]
    words = [
        "initial_spread = 3.0",
        "",
        "follower = truncated, policy_iterations = 5, start = carry",
    ]
    assert table["special"].tolist()[:3] == words
    assert table["special"].tolist()[-1] == "belief = planned, information = rewards"


def test_settings_that_differ_in_the_budget_only_are_told() -> None:
    settings = [MAIN, MAIN.replace("400", "100"), f"{EXACT};temperature=0.003", SPREAD]
    same = conditioned(table_of(settings))["setting_without_budget"].tolist()
    assert same[0] == same[1] == same[2] != same[3]


def test_settings_are_listed_once_with_what_they_have(tmp_path: Path) -> None:
    runs = [identity("four_rooms", "bc_hg", "published", MAIN, seed) for seed in (0, 1)]
    runs.append(
        RunIdentity("four_rooms", "bc_hg", "corrected", "any name", 0, "",
                    conditions={"temperature": 0.1, "policy_iterations": 5})
    )  # fmt: skip
    other = [identity("four_rooms", "naive", "published", f"{MAIN};study=clipped", 0)]
    table = stacked([conditions_of(runs), conditions_of(other)])
    keys = ["env_steps_per_update", "follower", "information", "policy_iterations", "temperature"]
    assert list(table) == [*GROUP, "study", "roles", *keys]
    assert table["setting"].tolist() == ["any name", MAIN, f"{MAIN};study=clipped"]
    assert table["study"].tolist() == ["other", "main", "clipped"]
    assert table["temperature"].tolist() == ["0.1", "0.003", "0.003"]
    assert table["policy_iterations"].tolist() == ["5", "", ""]
    write_csv(tmp_path / "conditions.csv", table)
    back = read_conditions(tmp_path / "conditions.csv")
    assert list(back) == list(table)
    assert back.to_numpy().tolist() == table.to_numpy().tolist()


def test_a_table_is_refused_whose_settings_nobody_knows(tmp_path: Path) -> None:
    known = conditions_of([identity("four_rooms", "bc_hg", "published", MAIN, 0)])
    with pytest.raises(CorruptRecord, match="conditions of four_rooms/bc_hg/published/follower="):
        with_conditions(table_of([MAIN, TRUNCATED[25:]]), known)
    with pytest.raises(CorruptRecord, match=r"conditions\.csv"):
        read_conditions(tmp_path / "conditions.csv")
    write_csv(tmp_path / "conditions.csv", known.drop(columns="study"))
    with pytest.raises(CorruptRecord, match=r"no columns \['study'\]"):
        read_conditions(tmp_path / "conditions.csv")


def test_the_return_that_a_problem_reports_is_picked() -> None:
    rows = table_of([f"{MAIN};return={kind}" for kind in ("discounted", "undiscounted")] + [MAIN])
    found = reported(conditioned(rows), {"four_rooms": "discounted"})
    assert found["return"].tolist() == ["discounted", ""]


def test_spread_study_takes_its_default_from_the_main_comparison() -> None:
    rows = [
        ("bc_hg", SPREAD),
        ("bc_hg", MAIN.replace("400", "100")),
        ("bc_hg", MAIN),  # budget 400 is not studied
        ("hpgd_mc", MAIN.replace("400", "100")),  # estimator is not studied
        ("bc_hg", TRUNCATED),
        ("bc_hg", LEARNING),
        ("bc_hg", WATCHING),
    ]
    table = pd.DataFrame(rows, columns=["estimator", "setting"])
    table = conditioned(table.assign(problem="four_rooms", variant="published"))
    found = spread_study(table)
    assert found["setting"].tolist() == [MAIN.replace("400", "100"), SPREAD]
    assert found["estimator"].tolist() == ["bc_hg"] * 2
    assert np.array_equal(found["initial_spread"], [np.nan, 3.0], equal_nan=True)


def test_empty_table_gets_its_columns() -> None:
    known = conditions_of([identity("four_rooms", "bc_hg", "published", MAIN, 0)])
    assert with_conditions(table_of([]), known)["budget"].empty
