import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.conditions import spread_study, study_of, with_conditions

MAIN = "env_steps_per_update=400;temperature=0.003"
TRUNCATED = (
    "env_steps_per_update=100;follower=truncated;policy_iterations=5;start=carry;temperature=0.003"
)
SPREAD = "env_steps_per_update=100;initial_spread=3.0;temperature=0.003"


@pytest.mark.parametrize(
    ("setting", "study"),
    [
        (MAIN, "main"),
        ("temperature=0.003", "main"),
        (TRUNCATED, "truncated_follower"),
        (SPREAD, "initial_spread"),
        ("follower=learned;temperature=0.003", "other"),
        (SPREAD + ";width=3", "other"),
    ],
)
def test_study_is_told_by_the_conditions(setting: str, study: str) -> None:
    assert study_of(setting) == study


def test_conditions_become_columns_row_by_row() -> None:
    settings = [SPREAD, MAIN, TRUNCATED, "temperature=0.001", MAIN]
    table = with_conditions(pd.DataFrame({"setting": settings}, index=[5, 3, 9, 1, 2]), 0.02)
    assert table.index.tolist() == [5, 3, 9, 1, 2]
    assert table["budget"].tolist() == [100, 400, 100, 0, 400]
    assert table["initial_spread"].tolist() == [3.0, 0.02, 0.02, 0.02, 0.02]
    assert table["policy_iterations"].tolist() == [0, 0, 5, 0, 0]
    assert table["start"].tolist() == ["", "", "carry", "", ""]
    assert np.allclose(table["temperature"], [0.003, 0.003, 0.003, 0.001, 0.003])


def test_spread_study_takes_its_default_from_the_main_comparison() -> None:
    rows = [
        ("bc_hg", SPREAD),
        ("bc_hg", "env_steps_per_update=100;temperature=0.003"),
        ("bc_hg", MAIN),  # budget 400 is not studied
        ("hpgd_mc", "env_steps_per_update=100;temperature=0.003"),  # estimator is not studied
        ("bc_hg", TRUNCATED),
    ]
    table = pd.DataFrame(rows, columns=["estimator", "setting"])
    table = with_conditions(table.assign(problem="four_rooms", variant="published"))
    assert spread_study(table)["initial_spread"].tolist() == [0.01, 3.0]


def test_empty_table_gets_its_columns() -> None:
    assert with_conditions(pd.DataFrame({"setting": []}))["budget"].empty
