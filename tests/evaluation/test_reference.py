from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.reference import (
    against_published,
    curve_agreement,
    point_agreement,
    published_means,
    read_references,
)
from bilevelrl.records import CorruptRecord

REFERENCE = Path(__file__).parents[2] / "reference"
#: Spec 9.3, last-1000 means at temperature 0.003 read independently off the same figures.
SPEC = {
    ("bc_hg", 100): 0.546,
    ("bc_hg", 400): 0.520,
    ("bc_hg", 1000): 0.265,
    ("hpgd_mc", 100): 0.099,
    ("hpgd_mc", 400): 0.235,
    ("hpgd_mc", 1000): 0.258,
    ("hpgd_sa", 100): 0.410,
    ("hpgd_oracle", 400): 0.527,
    ("naive", 1000): 0.0013,
    ("sobirl", 100): 0.0013,
}


@pytest.fixture
def reference() -> pd.DataFrame:
    return read_references(REFERENCE, ["four_rooms", "a_problem_without_published_curves"])


@pytest.mark.parametrize("key", SPEC)
def test_published_means_are_those_of_the_figures(
    reference: pd.DataFrame, key: tuple[str, int]
) -> None:
    means = published_means(reference).set_index(["estimator", "temperature", "budget"])
    estimator, budget = key
    assert means.loc[(estimator, 0.003, budget), "published_mean"] == pytest.approx(
        SPEC[key], abs=2e-3
    )


def summary_of(
    estimator: str, mean: float, error: float, variant: str = "published"
) -> pd.DataFrame:
    table = pd.DataFrame(
        {"metric": ["leader_return_mean", "leader_return_se"], "value": [mean, error]}
    )
    setting = "env_steps_per_update=100;temperature=0.003"
    return table.assign(
        problem="four_rooms", estimator=estimator, variant=variant, setting=setting, seeds=10
    )


@pytest.mark.parametrize(
    ("estimator", "mean", "error", "within"),
    [
        ("bc_hg", 0.545304, 0.0, True),
        ("bc_hg", 0.545304 + 2.9 * 0.009713, 0.0, True),
        ("bc_hg", 0.545304 + 3.1 * 0.009713, 0.0, False),
        ("bc_hg", 0.545304 + 3.1 * 0.009713, 0.01, True),  # our own error counts too
        ("naive", 0.00128, 3e-8, True),  # neither side has an error to speak of
        ("naive", 0.0035, 3e-8, False),
        ("naive", 0.1, 0.05, True),  # one seed of ours escaped: judged by our error
        ("naive", 0.3, 0.05, False),
    ],
)
def test_agreement_is_three_standard_errors(
    reference: pd.DataFrame, estimator: str, mean: float, error: float, within: bool
) -> None:
    row = against_published(summary_of(estimator, mean, error), reference).iloc[0]
    assert row["within_3_se"] == within
    assert row["difference"] == pytest.approx(row["ours_mean"] - row["published_mean"])
    assert np.isnan(row["z"]) == (estimator == "naive" and error < 1e-4)


def test_only_published_variants_are_compared(reference: pd.DataFrame) -> None:
    assert against_published(summary_of("bc_hg", 0.5, 0.1, "corrected"), reference).empty


def test_unlisted_estimators_are_left_out(reference: pd.DataFrame) -> None:
    assert against_published(summary_of("zero_order", 0.5, 0.1), reference).empty


def test_a_file_that_is_no_reference_is_named(tmp_path: Path) -> None:
    (tmp_path / "four_rooms_curves.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorruptRecord, match=r"four_rooms_curves\.csv"):
        read_references(tmp_path, ["four_rooms"])


def test_curve_agreement_finds_the_update_that_is_off() -> None:
    key = {"problem": "four_rooms", "estimator": "naive", "temperature": 0.003, "budget": 100}
    published = pd.DataFrame(
        [key | {"update": u, "leader_return": 0.1, "standard_error": 0.01} for u in (100, 200, 300)]
    ).assign(averaged_over=100)
    ours = pd.DataFrame(
        [
            key | {"variant": "published", "update": u - 1, "mean": mean, "standard_error": 0.0}
            for u, mean in ((100, 0.1), (200, 0.15), (300, 0.11))
        ]
    )
    (row,) = curve_agreement(ours, published).to_dict("records")
    assert row["updates"] == 3
    assert row["at_update"] == 200
    assert row["largest_difference"] == pytest.approx(0.05)
    assert row["largest_z"] == pytest.approx(5.0)
    assert row["share_within_3_se"] == pytest.approx(2 / 3)


def test_single_updates_are_compared_with_the_leader_that_was_there() -> None:
    key = {"problem": "bilevel_lqr", "estimator": "naive_on", "temperature": 0.1, "budget": 400}
    setting = "env_steps_per_update=400;return=undiscounted;temperature=0.1"
    published = pd.DataFrame(
        [key | {"update": u, "leader_return": 1.0, "standard_error": 0.3} for u in (2, 3, 4)]
    ).assign(averaged_over=1)
    ours = pd.DataFrame(
        [
            {
                "problem": "bilevel_lqr", "estimator": "naive_on", "variant": variant,
                "setting": setting + extra, "update": u, "leader_return": u + shift + seed,
            }
            for u in range(4)  # 4 updates: 0 .. 3
            for seed in (-0.4, 0.4)
            for variant, extra, shift in (
                ("published", "", 0.0),
                ("published", ";study=clipped", 50.0),
                ("improved", "", 99.0),
            )
        ]
    )  # fmt: skip
    table = point_agreement(ours, published, [2, 4, 500]).to_dict("records")
    assert [row["update"] for row in table] == [2, 4]
    assert [row["ours_mean"] for row in table] == pytest.approx([2.0, 3.0])  # 4 is nearest to 3
    assert table[0]["ours_standard_error"] == pytest.approx(0.4)  # sd .4 √2, over √2
    assert [row["z"] for row in table] == pytest.approx([2.0, 4.0])
    assert [row["within_3_se"] for row in table] == [True, False]


@pytest.mark.parametrize("problem", ["discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr"])
def test_the_games_last_tenth_is_that_of_the_figures(problem: str) -> None:
    published = read_references(REFERENCE, [problem])
    means = published_means(published).set_index("estimator")["published_mean"]
    # Spec markov_game.md section 9, at update 500 and over the last 40 %.
    expected = {
        "discrete_toy_r1": {"bc_hg": 27.05, "naive_on": 11.0, "bi_ac_off": 4.4},
        "discrete_toy_r2": {"bc_hg": 58.75, "naive_on": 32.1, "bi_ac_off": 29.9},
        "bilevel_lqr": {"bc_hg": 0.135, "naive_on": 0.02, "naive_off": 0.03},
    }[problem]
    tolerance = {"discrete_toy_r1": 1.2, "discrete_toy_r2": 1.2, "bilevel_lqr": 0.03}[problem]
    for estimator, value in expected.items():
        assert means[estimator] == pytest.approx(value, abs=tolerance)
