"""One rule for agreement, and ours computed as the published numbers are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.agreement import (
    RESOLUTION,
    TOLERANCE,
    against_published,
    curve_agreement,
    point_agreement,
    verdict,
)
from bilevelrl.evaluation.as_published import (
    AS_PUBLISHED_COLUMNS,
    curves_as_published,
    masked_means,
)
from bilevelrl.evaluation.reference import read_references
from bilevelrl.runs.records import CURVE_COLUMNS
from tests.settings import conditioned

REFERENCE = Path(__file__).parents[2] / "reference"
NAN = float("nan")


@pytest.fixture
def reference() -> pd.DataFrame:
    return read_references(REFERENCE, ["four_rooms"])


def judge(ours: float, our_error: float, theirs: float, their_error: float) -> pd.Series:
    columns = (pd.Series([value]) for value in (ours, our_error, theirs, their_error))
    return verdict(*columns).iloc[0]


@pytest.mark.parametrize(
    ("our_error", "their_error", "basis"),
    [
        (0.01, 0.01, "both"),
        (0.0, 0.01, "ours does not vary"),
        (0.9 * RESOLUTION, 0.01, "ours does not vary"),
        (0.01, 0.0, "published does not vary"),
        (0.0, 0.0, "neither varies"),
        (NAN, 0.01, "no standard error"),
        (NAN, 0.0, "no standard error"),
        (0.01, NAN, "no standard error"),
    ],
)
def test_z_needs_two_standard_errors(our_error: float, their_error: float, basis: str) -> None:
    for difference in (0.5 * TOLERANCE, 0.02, 0.5):
        row = judge(0.5 + difference, our_error, 0.5, their_error)
        assert row["z_basis"] == basis
        assert row["difference"] == pytest.approx(difference)
        if basis == "both":
            z = difference / np.hypot(0.01, 0.01)
            assert row["z"] == pytest.approx(z)
            assert row["within_3_se"] == (z <= 3.0)
            continue
        assert np.isnan(row["z"])
        if basis == "neither varies":
            assert row["within_3_se"] == (difference <= TOLERANCE)
        else:
            assert row["within_3_se"] is pd.NA


def test_no_result_of_ours_is_no_disagreement() -> None:
    row = judge(NAN, NAN, 0.5, 0.01)
    assert row["z_basis"] == "no standard error"
    assert row["within_3_se"] is pd.NA


def summary_of(
    estimator: str, mean: float, error: float, variant: str = "published"
) -> pd.DataFrame:
    table = pd.DataFrame(
        {"metric": ["leader_return_mean", "leader_return_se"], "value": [mean, error]}
    )
    setting = "env_steps_per_update=100;temperature=0.003"
    return conditioned(
        table.assign(
            problem="four_rooms", estimator=estimator, variant=variant, setting=setting, seeds=10
        )
    )


def nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=list(AS_PUBLISHED_COLUMNS)).astype(AS_PUBLISHED_COLUMNS)


#: Published standard error of BC-HG, of a sample.
ERROR = 0.009713 * np.sqrt(10.0 / 9.0)


@pytest.mark.parametrize(
    ("estimator", "mean", "error", "within"),
    [
        ("bc_hg", 0.545304 + 2.9 * np.hypot(ERROR, 0.01), 0.01, True),
        ("bc_hg", 0.545304 + 3.1 * np.hypot(ERROR, 0.01), 0.01, False),
        ("bc_hg", 0.00128, 0.0, None),  # all of ours stuck, some of theirs not
        ("naive", 0.00128, 3e-8, True),  # neither side has an error to speak of
        ("naive", 0.0035, 3e-8, False),
        ("naive", 0.1, 0.05, None),  # one seed of ours escaped, none of theirs
    ],
)
def test_agreement_is_three_standard_errors(
    reference: pd.DataFrame, estimator: str, mean: float, error: float, within: bool | None
) -> None:
    row = against_published(summary_of(estimator, mean, error), reference, nothing()).iloc[0]
    assert (None if row["within_3_se"] is pd.NA else row["within_3_se"]) == within
    assert row["difference"] == pytest.approx(row["ours_mean"] - row["published_mean"])
    assert np.isnan(row["z"]) == (estimator == "naive" or error == 0.0)
    assert row["masked"] == 0
    assert row[[name for name in row.index if "masked_" in name]].isna().all()


def test_only_published_variants_are_compared(reference: pd.DataFrame) -> None:
    corrected = summary_of("bc_hg", 0.5, 0.1, "corrected")
    assert against_published(corrected, reference, nothing()).empty


def test_unlisted_estimators_are_left_out(reference: pd.DataFrame) -> None:
    assert against_published(summary_of("zero_order", 0.5, 0.1), reference, nothing()).empty


KEY: dict[str, Any] = {
    "problem": "maze", "estimator": "naive", "temperature": 0.5, "budget": 100,
}  # fmt: skip
SETTING = "env_steps_per_update=100;temperature=0.5"


def curves_of(scores: np.ndarray, window: int, setting: str = SETTING) -> pd.DataFrame:
    """`leader_return_mean` of every window and seed."""
    rows = [
        dict.fromkeys(CURVE_COLUMNS, 0.0)
        | {"problem": "maze", "estimator": "naive", "variant": "published", "setting": setting,
           "seed": seed, "update": window * (number + 1) - 1, "leader_return": value,
           "leader_return_mean": value}
        for number, values in enumerate(scores)
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return conditioned(pd.DataFrame(rows))


def published(masked: int, averaged_over: int, updates: list[int]) -> pd.DataFrame:
    rows = [KEY | {"update": u, "leader_return": 0.1, "standard_error": 0.01} for u in updates]
    return pd.DataFrame(rows).assign(masked=masked, averaged_over=averaged_over)


def test_masking_leaves_out_other_seeds_at_every_update() -> None:
    scores = np.random.default_rng(0).normal(size=(10, 6))
    scores[3, 2], scores[4, 5] = -1e6, 1e6  # a freak of evaluation, of different seeds
    ours = curves_as_published(curves_of(scores, 4), published(1, 12, [20]))
    assert ours["update"].tolist() == [4 * n for n in range(1, 11)]
    middle = np.sort(scores, axis=1)[:, 1:-1].mean(axis=1)
    for row in range(10):
        recent = slice(max(0, row - 2), row + 1)  # 12 updates are three windows
        assert ours["mean"][row] == pytest.approx(scores.mean(axis=1)[recent].mean())
        assert ours["masked_mean"][row] == pytest.approx(middle[recent].mean())
    assert (ours["masked_mean"].abs() < 2.0).all()
    assert ours["mean"].abs().max() > 1e4
    assert (ours["masked_standard_error"] > 0.0).all()


def test_curves_of_all_seeds_are_not_masked() -> None:
    scores = np.random.default_rng(0).normal(size=(10, 6))
    ours = curves_as_published(curves_of(scores, 4), published(0, 12, [20]))
    assert ours["masked_mean"].isna().all()
    assert masked_means(ours).empty


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_too_few_seeds_cannot_be_masked(num_seeds: int) -> None:
    scores = np.ones((10, num_seeds))
    ours = curves_as_published(curves_of(scores, 4), published(1, 12, [20]))
    assert ours["masked_mean"].isna().all()
    assert (ours["standard_error"].isna() == (num_seeds == 1)).all()


def test_a_masked_curve_is_compared_with_ours_masked_too() -> None:
    rng = np.random.default_rng(0)
    scores = 0.1 + 0.01 * rng.normal(size=(100, 10))
    scores[:, 0] -= 5.0  # the lowest seed at every update
    theirs = published(1, 20, list(range(20, 201, 20)))
    ours = curves_as_published(curves_of(scores, 2), theirs)
    final = scores[90:].mean(axis=0)
    summary = pd.DataFrame(
        {
            "metric": ["leader_return_mean", "leader_return_se"],
            "value": [final.mean(), final.std(ddof=1) / np.sqrt(10.0)],
        }
    ).assign(problem="maze", estimator="naive", variant="published", setting=SETTING, seeds=10)
    (row,) = against_published(conditioned(summary), theirs, ours).to_dict("records")
    assert row["masked"] == 1
    assert row["difference"] == pytest.approx(-0.5, abs=0.01)
    middle = np.sort(scores, axis=1)[:, 1:-1].mean(axis=1)
    assert row["ours_masked_mean"] == pytest.approx(middle[90:].mean(), abs=0.002)
    assert row["masked_difference"] == pytest.approx(row["ours_masked_mean"] - 0.1)
    assert row["masked_z_basis"] == "both"
    assert row["masked_within_3_se"]
    (along,) = curve_agreement(ours, theirs).to_dict("records")
    assert along["masked"] == 1
    assert along["updates"] == along["masked_updates"] == 10
    assert along["largest_difference"] == pytest.approx(0.5, abs=0.02)
    assert along["masked_largest_difference"] < 0.02
    assert along["masked_share_within_3_se"] == 1.0


def test_curve_agreement_finds_the_update_that_is_off() -> None:
    scores = np.repeat([[0.1], [0.15], [0.11]], 6, axis=1)
    scores += 0.01 * np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    theirs = published(0, 100, [100, 200, 300, 400])
    (row,) = curve_agreement(curves_as_published(curves_of(scores, 100), theirs), theirs).to_dict(
        "records"
    )
    assert row["updates"] == row["judged"] == 3
    assert row["at_update"] == 200
    assert row["largest_difference"] == pytest.approx(0.05)
    error = np.hypot(0.01 * np.sqrt(6.0 / 5.0) / np.sqrt(6.0), 0.01)
    assert row["largest_z"] == pytest.approx(0.05 / error)
    assert row["share_within_3_se"] == pytest.approx(2 / 3)
    assert row["masked"] == 0
    assert np.isnan(row["masked_largest_z"])


def test_seeds_that_all_end_alike_have_no_z_along_a_curve() -> None:
    theirs = published(0, 100, [100, 200])
    ours = curves_as_published(curves_of(np.full((2, 6), 0.3), 100), theirs)
    (row,) = curve_agreement(ours, theirs).to_dict("records")
    assert row["largest_difference"] == pytest.approx(0.2)
    assert row["judged"] == 0
    assert np.isnan(row["largest_z"])
    assert np.isnan(row["share_within_3_se"])


def test_single_updates_are_compared_with_the_leader_that_was_there() -> None:
    theirs = pd.DataFrame(
        [KEY | {"update": u, "leader_return": 1.0, "standard_error": 0.3} for u in (2, 3, 4)]
    ).assign(averaged_over=1, masked=0)
    scores = np.arange(4.0)[:, None] + [-0.4, 0.4]  # 4 updates: 0 .. 3
    own, clipped = curves_of(scores, 1), curves_of(scores + 50.0, 1, SETTING + ";study=clipped")
    improved = curves_of(scores + 99.0, 1).assign(variant="improved")
    ours = pd.concat([own, clipped, improved], ignore_index=True)
    table = point_agreement(ours, theirs, [2, 4, 500]).to_dict("records")
    assert [row["update"] for row in table] == [2, 4]
    assert [row["ours_mean"] for row in table] == pytest.approx([2.0, 3.0])  # 4 is nearest to 3
    assert table[0]["ours_standard_error"] == pytest.approx(0.4)  # sd .4 √2, over √2
    assert [row["z"] for row in table] == pytest.approx([2.0, 4.0])
    assert [row["within_3_se"] for row in table] == [True, False]


def test_single_updates_of_one_seed_have_no_z() -> None:
    theirs = published(0, 1, [2])
    (row,) = point_agreement(curves_of(np.ones((4, 1)), 1), theirs, [2]).to_dict("records")
    assert row["difference"] == pytest.approx(0.9)
    assert np.isnan(row["ours_standard_error"])
    assert np.isnan(row["z"])
    assert pd.isna(row["within_3_se"])
