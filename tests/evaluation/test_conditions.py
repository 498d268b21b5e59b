import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.conditions import spread_study, study_of, with_conditions

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
    assert study_of(setting) == study


def test_conditions_become_columns_row_by_row() -> None:
    settings = [SPREAD, MAIN, TRUNCATED, "temperature=0.001", MAIN, LEARNING, PLANNED]
    table = with_conditions(pd.DataFrame({"setting": settings}, index=[5, 3, 9, 1, 2, 7, 6]))
    assert table.index.tolist() == [5, 3, 9, 1, 2, 7, 6]
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
    table = with_conditions(table.assign(problem="four_rooms", variant="published"))
    found = spread_study(table)
    assert found["setting"].tolist() == [MAIN.replace("400", "100"), SPREAD]
    assert found["estimator"].tolist() == ["bc_hg"] * 2
    assert np.array_equal(found["initial_spread"], [np.nan, 3.0], equal_nan=True)


def test_empty_table_gets_its_columns() -> None:
    assert with_conditions(pd.DataFrame({"setting": []}))["budget"].empty
