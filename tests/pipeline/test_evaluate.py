"""Stage `evaluate` on a small synthetic project with known answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.runs.params import Params
from bilevelrl.runs.records import SUMMARY_COLUMNS
from pipeline import comparison, evaluate
from tests.pipeline.made_up import (
    CHARGE_NOTHING,
    FINAL,
    LEARNING,
    MAIN,
    TRUNCATED,
    UPDATES,
)


def metric(
    summary: pd.DataFrame,
    name: str,
    setting: str = MAIN,
    estimator: str = "bc_hg",
    variant: str = "published",
) -> pd.Series:
    chosen = summary[
        (summary["metric"] == name)
        & (summary["setting"] == setting)
        & (summary["estimator"] == estimator)
        & (summary["variant"] == variant)
    ]
    assert len(chosen) == 1, f"{name} of {estimator}/{variant} at {setting}: {len(chosen)} rows"
    return chosen.iloc[0]


def test_summary_has_the_columns_of_the_contract_in_a_fixed_order(summary: pd.DataFrame) -> None:
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    key = ["problem", "estimator", "variant", "setting", "metric"]
    assert not summary.duplicated(key).any()
    assert summary[key].apply(tuple, axis=1).is_monotonic_increasing


def test_summary_has_the_known_answers(summary: pd.DataFrame) -> None:
    mean = metric(summary, "leader_return_mean")
    assert mean["value"] == pytest.approx(np.mean(FINAL))
    assert mean["low"] < mean["value"] < mean["high"]
    assert mean["seeds"] == 4
    assert metric(summary, "leader_return_se")["value"] == pytest.approx(
        np.std(FINAL, ddof=1) / 2.0
    )
    assert metric(summary, "leader_return_final_iqm")["value"] == pytest.approx(0.45)
    assert metric(summary, "best_known")["value"] == 0.6
    assert metric(summary, "best_known", variant="corrected")["value"] == 0.55
    assert metric(summary, "published_mean")["value"] == pytest.approx(0.5453, abs=1e-4)


def test_stuck_fraction_has_the_interval_of_a_proportion(summary: pd.DataFrame) -> None:
    stuck = metric(summary, "stuck_fraction")
    assert stuck["value"] == 0.25
    assert stuck["low"] == pytest.approx(0.0063, abs=1e-4)
    assert stuck["high"] == pytest.approx(0.8059, abs=1e-4)
    assert metric(summary, "stuck_fraction", variant="corrected")["value"] == 1.0


def test_thresholds_are_fractions_of_the_best_known_return(summary: pd.DataFrame) -> None:
    # Three of four seeds reach 0.3 in the first window after update 50; one reaches 0.54.
    assert metric(summary, "env_steps_to_50_percent")["value"] == 5400.0
    assert metric(summary, "fraction_at_50_percent")["value"] == 0.75
    assert metric(summary, "fraction_at_50_percent")["low"] < 0.5
    assert np.isnan(metric(summary, "env_steps_to_50_percent_worst")["value"])  # one never arrives
    assert np.isnan(metric(summary, "env_steps_to_90_percent")["value"])
    assert metric(summary, "fraction_at_90_percent")["value"] == 0.25


def test_truncated_follower_has_its_own_metrics(summary: pd.DataFrame) -> None:
    optimal = metric(summary, "leader_return_optimal_mean", TRUNCATED)
    assert optimal["value"] == pytest.approx(np.mean(FINAL) + 0.1)
    worst = metric(summary, "leader_return_optimal_worst", TRUNCATED)
    assert worst["value"] == pytest.approx(CHARGE_NOTHING + 0.1)
    assert metric(summary, "leader_return_final_worst", TRUNCATED)["value"] == CHARGE_NOTHING
    assert metric(summary, "failed_runs", TRUNCATED)["value"] == 0.0
    assert metric(summary, "follower_kl", TRUNCATED)["value"] == 0.25
    assert metric(summary, "follower_accuracy_max", TRUNCATED)["value"] == 0.5
    for name in ("leader_return_optimal_mean", "follower_accuracy_max"):
        studied = summary[summary["metric"] == name]["setting"]
        assert set(studied) == {TRUNCATED, LEARNING}


def test_every_setting_says_what_its_follower_costs_and_loses(summary: pd.DataFrame) -> None:
    settings = summary[["estimator", "variant", "setting"]].drop_duplicates()
    assert len(settings) == 6
    for estimator, variant, setting in settings.itertuples(index=False):

        def of(name: str) -> pd.Series:
            return metric(summary, name, setting, estimator, variant)  # noqa: B023

        seeds = of("leader_return_mean")["seeds"]
        # The cosine is of all updates, the gap of the last tenth.
        assert of("cosine_mean")["value"] == pytest.approx(0.4)
        assert of("follower_kl")["value"] == 0.25
        assert of("follower_value_gap")["value"] == pytest.approx(0.01 * (1 + seeds) / 2)
        learned = setting == LEARNING
        assert of("follower_steps")["value"] == (2.5 * 50 * 100 if learned else 0.0)
        gap = of("follower_value_gap")
        assert gap["low"] < gap["value"] < gap["high"]


def test_learning_followers_are_summarised_over_seeds(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "followers.csv").set_index("steps")
    assert set(table["problem"]) == {"four_rooms"}
    assert set(table["follower"]) == {"soft_q"}
    assert table["seeds"].tolist() == [3, 3]
    for steps, scale in ((200, 1.0), (1000, 0.1)):
        for name, factor in (("value_gap", 1.0), ("relative_gap", 0.1), ("kl", 2.0)):
            told = ("median", "min", "max", "mean")
            found = [table.loc[steps, f"{name}_{which}"] for which in told]
            assert found == pytest.approx([scale * factor * each for each in (4.0, 1.0, 10.0, 5.0)])
    assert table["failed"].tolist() == [0, 0]


def test_a_follower_without_a_result_is_counted(params: Params, project: Path) -> None:
    path = project / "data" / "followers" / "four_rooms" / "learning.csv"
    learned = pd.read_csv(path)
    learned.loc[0, "kl"] = np.nan  # of 200 steps
    learned.to_csv(path, index=False)
    evaluate.main(params, project)
    table = pd.read_csv(project / "results" / "followers.csv").set_index("steps")
    assert table["failed"].tolist() == [1, 0]
    assert table.loc[200, ["kl_median", "kl_min", "kl_max", "kl_mean"]].isna().all()
    assert table.loc[1000].notna().all()
    comparison.main(params.returns, project)


def test_errors_of_watching_leaders_have_means_and_slopes(evaluated: Path) -> None:
    path = evaluated / "results" / "information_errors.csv"
    table = pd.read_csv(path, keep_default_na=False).set_index(["information", "env_steps"])
    assert set(table["belief"]) == {""}
    assert table["slope"].tolist() == pytest.approx([-0.5] * 6)
    assert table.loc[("actions", 400), "error"] == pytest.approx(3.0 * 2.0 / 20.0)
    assert table.loc[("full", 1600), "standard_error"] == pytest.approx(1.0 / 40.0)
    # Two seeds: half their distance is the standard error of their mean.
    expected = 0.5 * np.sqrt(2.0) / (2.0 * np.log(4.0))
    assert table["slope_error"].tolist() == pytest.approx([expected] * 6, rel=1e-5)


def test_published_mean_is_there_only_where_something_is_published(summary: pd.DataFrame) -> None:
    published = summary[summary["metric"] == "published_mean"]
    listed = published[["estimator", "variant", "setting"]].apply(tuple, axis=1)
    assert set(listed) == {("bc_hg", "published", MAIN), ("hpgd_mc", "published", MAIN)}


def test_improvement_compares_like_with_like(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "improvement.csv")
    published = table[(table["variant"] == "published") & (table["setting"] == MAIN)]
    probability = published.set_index("theirs")["probability"]
    assert probability["hpgd_mc"] == 0.75
    assert probability["exact"] == pytest.approx((3 + 0.5) / 4)  # matches every budget
    assert (table["theirs"] != "bc_hg").all()
    assert not (table["variant"] == "corrected").any()  # nobody to compare with in this grid


def test_what_knowing_the_model_saves_is_told_of_every_leader(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "model_knowledge.csv", keep_default_na=False)
    assert table["leader"].tolist() == ["published", "corrected", "exact"]
    published = table.iloc[0]
    assert published["setting"] == MAIN
    # Three of four seeds reach half of the best known J, one nine tenths of it.
    assert (published["env_steps_to_50_percent"], published["env_steps_to_90_percent"]) == (
        "5400", "",
    )  # fmt: skip
    assert published[["arrived_at_50_percent", "arrived_at_90_percent"]].tolist() == [3, 1]
    assert table["best_known"].tolist() == [0.6, 0.55, 0.6]


def test_tracked_curves_show_the_main_comparison(evaluated: Path) -> None:
    curves = pd.read_csv(evaluated / "results" / "curves.csv")
    assert list(curves.columns) == [
        "problem", "estimator", "variant", "budget", "case", "update", "env_steps", "iqm", "low",
        "high", "mean", "standard_error", "worst", "failed", "seeds",
    ]  # fmt: skip
    ours = curves[(curves["estimator"] == "bc_hg") & (curves["variant"] == "published")]
    assert ours["update"].tolist() == UPDATES.tolist()
    assert ours["iqm"].iloc[0] == -0.7
    assert ours["iqm"].iloc[-1] == pytest.approx(0.45)
    vary = curves["standard_error"] > 1e-9  # runs that all end alike have no interval
    assert (curves["low"].notna() == vary).all()
    assert 0 < vary.sum() < len(vary)
    known = curves[vary]
    assert ((known["low"] <= known["iqm"]) & (known["iqm"] <= known["high"])).all()


def test_all_that_searches_found_is_tracked(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "baselines.csv", keep_default_na=False)
    assert list(table)[:4] == ["problem", "variant", "temperature", "case"]
    assert list(table)[4:] == sorted(list(table)[4:])
    assert len(table) == table.groupby(["problem", "variant", "temperature", "case"]).ngroups
    assert set(table["best_known"]) == {0.55, 0.6}


def test_exact_ascent_is_summarised_by_kind_of_start(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "results" / "exact_ascent.csv")
    row = table.set_index(["variant", "kind"]).loc[("published", "structured")]
    assert row["starts"] == 3
    assert row["stuck_fraction"] == pytest.approx(1 / 3)
    assert row["fraction_at_50_percent"] == pytest.approx(2 / 3)  # best known is 0.6
    assert row["fraction_at_90_percent"] == pytest.approx(1 / 3)
    assert row["median_return"] == 0.4
    assert row["best_return"] == 0.55
    assert row["mean_return"] == pytest.approx((CHARGE_NOTHING + 0.4 + 0.55) / 3)
    assert row["worst_return"] == CHARGE_NOTHING
    assert row["failed"] == 0
