"""Gradient quality on the page."""

import pandas as pd

from bilevelrl.reporting.page.gradients import number, of_problem
from bilevelrl.runs.records import GRADIENT_COLUMNS


def rows() -> pd.DataFrame:
    common = dict.fromkeys(GRADIENT_COLUMNS, 1.0) | {
        "problem": "toy", "rung": "bc_hg_corrected_exact", "estimator": "bc_hg",
        "variant": "corrected", "critic": "exact", "note": "exact critic",
        "env_steps_per_update": 1000, "replicates": 40,
    }  # fmt: skip
    points = [("a", 2.0, 1.0, 0.5), ("b", 4.0, 0.0, -0.25), ("c", 1.0, 3.0, 1.0)]
    return pd.DataFrame(
        [
            common | {"point": point, "exact_norm": norm, "bias": bias, "cosine_mean": cosine}
            for point, norm, bias, cosine in points
        ]
    )


def test_errors_are_shares_of_the_hypergradient_over_points() -> None:
    summary, every = of_problem(rows(), "toy")
    assert "3 fixed θ, 40 of each kind" in summary.caption
    assert summary.rows == (
        (
            "BC-HG, corrected, exact critic", "1,000", "0.500 [0, 3.00]",
            "0.500 [0.250, 1.00]", "0.500 [−0.250, 1.00]",
        ),
    )  # fmt: skip
    assert [row[2] for row in every.rows] == ["a", "b", "c"]
    assert every.rows[0][5] == "1.00 ± 1.00"


def test_a_problem_without_the_study_has_no_table() -> None:
    assert of_problem(rows(), "other") == []
    assert of_problem(pd.DataFrame(columns=["problem"]), "toy") == []


def test_small_numbers_are_short() -> None:
    shown = [number(value) for value in (0.0, 1.0, 0.00012345, -2.5e-17, float("nan"))]
    assert shown == ["0", "1.00", "0.000123", "−2.50·10⁻¹⁷", "–"]
