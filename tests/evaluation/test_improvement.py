"""How likely a run of one estimator beats a run of another: whose runs, and which way round."""

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.improvement import IMPROVEMENT_COLUMNS, improvement_table
from bilevelrl.evaluation.statistics import (
    detectable_difference,
    improvement_interval,
    interval,
    mean_difference_interval,
)
from bilevelrl.runs.params import read_params
from tests.settings import conditioned

PARAMS = read_params().evaluate
SMALL, LARGE = (f"env_steps_per_update={n};temperature=0.1" for n in (100, 200))
NONE = "temperature=0.1"


def runs(
    problem: str, estimator: str, variant: str, setting: str, finals: list[float]
) -> pd.DataFrame:
    same = {"problem": problem, "estimator": estimator, "variant": variant, "setting": setting}
    known = {"final_optimal": np.nan}
    rows = [{**same, **known, "seed": n, "final": each} for n, each in enumerate(finals)]
    return conditioned(pd.DataFrame(rows))


OURS, THEIRS = [3.0, 4.0, 5.5], [1.0, 4.5]
SCORES = pd.concat(
    [
        runs("a", "bc_hg", "published", SMALL, OURS),
        runs("a", "naive", "published", SMALL, THEIRS),
        runs("a", "naive", "published", LARGE, [9.0, 9.5]),
        runs("a", "exact", "published", NONE, [7.0, 8.0]),
        runs("a", "naive", "corrected", SMALL, [9.0, 9.5]),
        runs("b", "naive", "published", SMALL, [9.0, 9.5]),
    ]
)


def test_shared_settings_of_one_problem_and_variant_are_compared() -> None:
    table = improvement_table(SCORES, PARAMS)
    assert list(table) == list(IMPROVEMENT_COLUMNS)
    assert sorted(table["theirs"]) == ["exact", "naive"]
    for name, value in (("problem", "a"), ("variant", "published"), ("setting", SMALL)):
        assert set(table[name]) == {value}
    assert set(table["ours"]) == {"bc_hg"}
    others = improvement_table(SCORES, PARAMS, ours="naive")
    # Its own two budgets are no rivals; what samples nothing has every budget.
    assert sorted(zip(others["theirs"], others["setting"], strict=True)) == [
        ("bc_hg", SMALL), ("exact", SMALL), ("exact", LARGE),
    ]  # fmt: skip


def test_ours_beats_theirs_as_often_as_pairs_say() -> None:
    row = improvement_table(SCORES, PARAMS).set_index("theirs").loc["naive"]
    assert row["probability"] == pytest.approx(4 / 6)  # 3 and 4 beat 1 alone, 5.5 beats both
    assert row["mean_difference"] == pytest.approx(np.mean(OURS) - np.mean(THEIRS))
    assert (row["ours_seeds"], row["theirs_seeds"]) == (3, 2)
    ours, theirs, level = np.array(OURS), np.array(THEIRS), PARAMS.confidence
    assert (row["low"], row["high"]) == improvement_interval(ours, theirs, level)
    assert (row["mean_difference_low"], row["mean_difference_high"]) == mean_difference_interval(
        ours, theirs, level
    )
    back = improvement_table(SCORES, PARAMS, ours="naive")
    row = back[(back["theirs"] == "bc_hg") & (back["setting"] == SMALL)].iloc[0]
    assert row["probability"] == pytest.approx(2 / 6)
    assert row["mean_difference"] < 0.0


def test_a_leader_that_identifies_its_model_meets_those_that_do_not() -> None:
    known = f"{SMALL};study=identified;model=identified"
    scores = pd.concat(
        [
            runs("a", "bc_hg", "improved", SMALL, OURS),
            runs("a", "bc_hg", "improved", known, OURS),
            runs("a", "naive", "improved", SMALL, THEIRS),
            runs("a", "naive", "improved", known, THEIRS),
        ]
    )
    table = improvement_table(scores, PARAMS)
    pairs = sorted(zip(table["ours_model"], table["theirs_model"], strict=True))
    assert pairs == [("", ""), ("identified", ""), ("identified", "identified")]
    assert set(table.loc[table["ours_model"] != "", "setting"]) == {known}


def test_runs_with_the_same_seed_are_paired() -> None:
    row = improvement_table(SCORES, PARAMS).set_index("theirs").loc["naive"]
    differences = np.array([3.0 - 1.0, 4.0 - 4.5])  # the third of ours has no partner
    low, high = interval(differences, "mean", PARAMS.confidence)
    assert row["paired_difference"] == pytest.approx(differences.mean())
    assert (row["paired_difference_low"], row["paired_difference_high"]) == (low, high)
    assert row["paired_seeds"] == 2
    found = detectable_difference(differences, PARAMS.confidence, PARAMS.power)
    assert row["detectable_difference"] == pytest.approx(found)


def test_runs_without_a_common_seed_are_not_paired() -> None:
    apart = SCORES.assign(seed=SCORES["seed"] + 10 * (SCORES["estimator"] == "naive"))
    row = improvement_table(apart, PARAMS).set_index("theirs").loc["naive"]
    assert row["paired_seeds"] == 0
    assert row[["paired_difference", "paired_difference_low", "detectable_difference"]].isna().all()
    assert row["mean_difference"] == pytest.approx(np.mean(OURS) - np.mean(THEIRS))


def test_returns_under_best_responses_are_paired_where_they_are_known() -> None:
    row = improvement_table(SCORES, PARAMS).set_index("theirs").loc["naive"]
    assert row["optimal_seeds"] == 0
    assert row[["optimal_difference", "optimal_difference_low"]].isna().all()
    lower = SCORES.assign(final_optimal=SCORES["final"] ** 2)
    row = improvement_table(lower, PARAMS).set_index("theirs").loc["naive"]
    differences = np.array([9.0 - 1.0, 16.0 - 20.25])
    low, high = interval(differences, "mean", PARAMS.confidence)
    assert row["optimal_difference"] == pytest.approx(differences.mean())
    assert (row["optimal_difference_low"], row["optimal_difference_high"]) == (low, high)
    assert row["optimal_seeds"] == 2
    lost = lower.assign(final_optimal=lower["final_optimal"].where(lower["seed"] != 1))
    row = improvement_table(lost, PARAMS).set_index("theirs").loc["naive"]
    assert np.isnan(row["optimal_difference"])
    assert row["optimal_seeds"] == 2
