"""Which estimator for which budget: the best rung of each, and what is drawn of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from bilevelrl.figures import style
from bilevelrl.figures.estimator_budgets import compared_rungs, estimator_budgets
from bilevelrl.runs.records import GRADIENT_COLUMNS

#: Rung, estimator, variant, critic, budget and error of the three θ, in units of |dJ/dθ| = 2.
ROWS = [
    ("plain", "bc_hg", "corrected", "learned", 100, (9.0, 3.0, 1.0)),
    ("plain", "bc_hg", "corrected", "learned", 1000, (0.8, 0.7, 0.9)),
    ("ours", "bc_hg", "improved", "learned", 100, (20.0, 4.0, 3.0)),
    ("ours", "bc_hg", "improved", "learned", 1000, (99.0, 0.5, 0.4)),
    ("known", "bc_hg", "improved", "exact", 1000, (0.1, 0.1, 0.1)),
    ("two", "perturbed", "corrected", "none", 100, (3.0, 2.0, 5.0)),
    ("two", "perturbed", "corrected", "none", 1000, (0.6, 0.2, 0.3)),
    ("one-sided", "perturbed", "corrected", "none", 1000, (0.1, 0.1, 0.1)),
    ("zero", "zero_order", "published", "none", 0, (3.0, 5.0, 4.0)),
    ("other", "naive", "published", "none", 1000, (0.01, 0.01, 0.01)),
]


def gradients(*problems: str) -> pd.DataFrame:
    rows = [
        dict.fromkeys(GRADIENT_COLUMNS, 0.5)
        | {"problem": problem, "rung": rung, "estimator": estimator, "variant": variant,
           "critic": critic, "note": rung if rung == "one-sided" else "",
           "env_steps_per_update": budget, "exact_norm": 2.0,
           "point": f"q={place}", "rmse": 2.0 * error}
        for problem in problems
        for rung, estimator, variant, critic, budget, errors in ROWS
        for place, error in enumerate(errors)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_best_rung_of_every_estimator_by_its_median_over_points() -> None:
    found = compared_rungs(gradients("a", "b"))
    own = found[found["problem"] == "b"]
    assert set(zip(own["rung"], own["env_steps_per_update"], own["error"], strict=True)) == {
        ("ours", 100, 4.0), ("ours", 1000, 0.5), ("two", 100, 3.0), ("two", 1000, 0.3),
        ("zero", 0, 4.0),
    }  # fmt: skip


def test_where_nobody_is_paid_nothing_is_compared() -> None:
    table, elsewhere = gradients("a"), gradients("a").query("estimator == 'bc_hg'")
    other = elsewhere.assign(point="another J", rung="sharp", rmse=1e-3)
    pd.testing.assert_frame_equal(compared_rungs(pd.concat([table, other])), compared_rungs(table))


def test_problems_where_nobody_is_paid_are_left_out() -> None:
    table = gradients("a", "b")
    table = table[(table["problem"] == "a") | (table["estimator"] != "perturbed")]
    assert set(compared_rungs(table)["problem"]) == {"a"}
    unpaid = estimator_budgets(gradients("a").query("estimator != 'perturbed'"))
    for nothing in (unpaid, estimator_budgets(gradients("a").iloc[:0])):
        assert any("not in this grid" in text.get_text() for text in nothing.findobj(Text))


@pytest.mark.parametrize("problems", [("a",), ("a", "b", "c", "d", "e")])
def test_a_panel_per_problem_with_a_line_per_estimator(problems: tuple[str, ...]) -> None:
    figure = estimator_budgets(gradients(*problems))
    drawn = [ax for ax in figure.axes if ax.axison]
    assert tuple(ax.get_title() for ax in drawn) == problems
    for ax in drawn:
        lines = {
            style.label("bc_hg", "improved"): [4.0, 0.5], style.label("perturbed"): [3.0, 0.3],
        }  # fmt: skip
        points = [
            np.asarray(line.get_ydata(), dtype=np.float64).tolist()
            for line in ax.lines
            if len(np.unique(np.asarray(line.get_xdata()))) > 1 and line.get_xdata()[0] == 100  # type: ignore[index]
        ]
        assert sorted(points) == sorted(lines.values())
        flat = [line for line in ax.lines if np.unique(np.asarray(line.get_ydata())).size == 1]
        assert sorted(float(np.asarray(line.get_ydata())[0]) for line in flat) == [1.0, 4.0]
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {*lines, style.label("zero_order")}
    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 8.0


def test_one_budget_is_a_point_with_its_number() -> None:
    ax = estimator_budgets(gradients("a").query("env_steps_per_update != 100")).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1,000"]


def test_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        style.save(estimator_budgets(gradients("a", "b")), tmp_path / folder, "figure")
    for suffix in ("png", "pdf"):
        first, second = (
            (tmp_path / run / suffix / f"figure.{suffix}").read_bytes()
            for run in ("first", "second")
        )
        assert first == second
