"""Figures draw what the tables say, and the same bytes every time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.figures.final_return import final_return
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.figures.truncated_follower import truncated_follower
from bilevelrl.problems.four_rooms.initial_spread_figure import initial_spread
from bilevelrl.problems.four_rooms.penalty_maps import penalty_maps
from bilevelrl.runs.records import GRADIENT_COLUMNS

PAIRS = [("bc_hg", "published"), ("bc_hg", "corrected"), ("exact", "published")]
BEST = pd.DataFrame({"case": "", "variant": ["published", "corrected"], "best_known": [0.61, 0.57]})
PUBLISHED = pd.DataFrame(
    {
        "estimator": "bc_hg",
        "budget": 100,
        "update": [0, 100, 200],
        "leader_return": [-0.7, 0, 0.5],
        "masked": 0,
    }
)


def curve_table() -> pd.DataFrame:
    updates = np.arange(9, 300, 10)
    middle = 0.5 - 1.2 * np.exp(-updates / 100.0)
    return pd.concat(
        pd.DataFrame(
            {"update": updates, "env_steps": budget * updates, "iqm": middle, "low": middle - 0.1,
             "high": middle + 0.1, "estimator": estimator, "variant": variant, "budget": budget,
             "case": ""}
        )
        for estimator, variant in PAIRS
        for budget in ([0] if estimator == "exact" else [100, 1000])
    )  # fmt: skip


def study_table(metrics: list[str], **conditions: list[object]) -> pd.DataFrame:
    rows = [
        {"estimator": estimator, "variant": variant, "budget": budget, "metric": metric,
         "value": 0.5, "low": 0.4, "high": 0.7}
        for estimator, variant in PAIRS
        for budget in ([0] if estimator == "exact" else [100, 1000])
        for metric in metrics
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for name, values in conditions.items():
        table = table.merge(pd.DataFrame({name: values}), how="cross")
    return table


def map_table() -> pd.DataFrame:
    cells = [("cell", i, 1 + i // 2, 1 + i % 2, -0.05 * i) for i in range(4)]
    path = [("path", 0, 1, 1, 0.0), ("path", 1, 1, 2, 0.0)]
    table = pd.DataFrame(
        [*cells, *path, ("kept", 0, 0, 0, 0.25)],
        columns=["kind", "index", "row", "column", "value"],
    )
    return pd.concat(table.assign(estimator=e, variant=v, budget=100) for e, v in PAIRS)


def gradient_table() -> pd.DataFrame:
    rows = [
        dict.fromkeys(GRADIENT_COLUMNS, 0.5)
        | {"estimator": estimator, "variant": variant, "point": point, "critic": critic,
           "note": "exact critic" if critic == "exact" else "",
           "env_steps_per_update": 0 if estimator == "exact" else budget, "bias": bias}
        for estimator, variant in PAIRS
        for critic in (["none"] if estimator == "exact" else ["learned", "exact"])
        for point in ("generic", "trajectory_0")
        for budget, bias in ((100, 0.3), (1000, 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


FIGURES: dict[str, Callable[[], Figure]] = {
    "updates": lambda: learning_curves(curve_table(), PUBLISHED, BEST, "update"),
    "env_steps": lambda: learning_curves(curve_table(), PUBLISHED, BEST, "env_steps"),
    "final_return": lambda: final_return(
        study_table(["leader_return_final_iqm"]),
        pd.DataFrame({"estimator": ["bc_hg"], "budget": [100], "published_mean": [0.55]}),
        BEST,
    ),
    "penalty_maps": lambda: penalty_maps(map_table(), {"S": (1, 1), "G": (2, 2)}),
    "gradient_quality": lambda: gradient_quality(gradient_table()),
    "truncated_follower": lambda: truncated_follower(
        study_table(
            ["leader_return_optimal_mean", "follower_kl"],
            policy_iterations=[1, 5, 50],
            start=["carry", "reset"],
        )
    ),
    "initial_spread": lambda: initial_spread(
        study_table(["leader_return_final_iqm", "stuck_fraction"], initial_spread=[0.01, 1.0, 6.0])
    ),
    "placeholder": lambda: style.placeholder("A study"),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("name", FIGURES)
def test_same_table_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        style.save(FIGURES[name](), tmp_path / folder, name)
    for suffix in ("png", "pdf"):
        paths = (tmp_path / run / suffix / f"{name}.{suffix}" for run in ("first", "second"))
        first, second = paths
        assert first.read_bytes() == second.read_bytes()
        assert b"atplotlib" not in first.read_bytes()  # neither version nor homepage


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_at_least_eight_points(name: str) -> None:
    figure = FIGURES[name]()
    sizes = {
        text.get_fontsize()
        for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
        if text.get_text()
    }
    assert min(sizes) >= 8.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda: learning_curves(curve_table().iloc[:0], PUBLISHED, BEST, "update"),
        lambda: final_return(study_table(["stuck_fraction"]), PUBLISHED.iloc[:0], BEST),
        lambda: penalty_maps(map_table().iloc[:0], {}),
        lambda: gradient_quality(gradient_table().iloc[:0]),
        lambda: truncated_follower(
            study_table(["follower_kl"], policy_iterations=[1], start=["carry"]).iloc[:0]
        ),
        lambda: initial_spread(study_table(["stuck_fraction"], initial_spread=[1.0]).iloc[:0]),
    ],
)
def test_an_absent_study_says_so(draw: Callable[[], Figure]) -> None:
    assert any("not in this grid" in text for text in texts(draw()))


def test_lines_show_the_table() -> None:
    curves = curve_table()
    figure = FIGURES["updates"]()
    ours = curves[(curves["estimator"] == "bc_hg") & (curves["budget"] == 1000)]
    colour = style.ESTIMATORS["bc_hg"].colour
    drawn = [line for line in figure.axes[1].lines if line.get_color() == colour]
    assert len(drawn) == 2  # published and corrected variant; no published curve at this budget
    for line in drawn:
        assert np.array_equal(line.get_ydata(), ours["iqm"].iloc[:30])


def test_published_curve_is_drawn_at_its_own_budget_only() -> None:
    panels = FIGURES["updates"]().axes[:2]
    thin = [[line for line in ax.lines if line.get_alpha() == 0.85] for ax in panels]
    assert [len(lines) for lines in thin] == [1, 0]


def test_estimators_without_samples_are_not_drawn_against_samples() -> None:
    assert "Exact" in texts(FIGURES["updates"]())
    assert "Exact" not in texts(FIGURES["env_steps"]())


def test_one_budget_has_one_panel() -> None:
    curves = curve_table()
    figure = learning_curves(curves[curves["budget"] != 100], PUBLISHED, BEST, "update")
    assert len(figure.axes) == 1


def test_cases_have_panels_and_best_known_returns_of_their_own() -> None:
    table = curve_table()
    table = table[table["budget"] != 1000]
    small, large = table.assign(case="size=2"), table.assign(case="size=3", iqm=table["iqm"] + 1.0)
    cases = pd.concat([small, large])
    best = pd.concat(
        [BEST.assign(case="size=2"), BEST.assign(case="size=3", best_known=[1.61, 1.57])]
    )
    figure = learning_curves(cases, PUBLISHED.iloc[:0], best, "update")
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"size = {n}\n100 transitions per update" for n in (2, 3)]
    exact = style.ESTIMATORS["exact"].colour
    for ax, own, levels in zip(
        figure.axes, (small, large), ({0.61, 0.57}, {1.61, 1.57}), strict=True
    ):
        (drawn,) = [line for line in ax.lines if line.get_color() == exact]
        assert np.array_equal(drawn.get_ydata(), own["iqm"].iloc[:30])
        known = [line for line in ax.lines if line.get_color() == style.BEST_KNOWN_COLOUR]
        assert {line.get_ydata()[0] for line in known} == levels  # type: ignore[index]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len([text for text in named if "best known" in text]) == 2


def test_variants_that_share_the_best_known_return_share_its_line() -> None:
    def lines(best: pd.DataFrame) -> int:
        figure = learning_curves(curve_table(), PUBLISHED.iloc[:0], best, "update")
        colours = [line.get_color() for line in figure.axes[0].lines]
        return colours.count(style.BEST_KNOWN_COLOUR)

    assert lines(BEST) == 2
    assert lines(BEST.assign(best_known=0.61)) == 1


def test_a_best_known_return_has_the_dashes_of_the_legend_in_every_panel() -> None:
    both = curve_table()
    alone = (both["budget"] != 100) | (both["variant"] == "corrected")
    figure = learning_curves(
        both[alone], PUBLISHED.iloc[:0], BEST.assign(best_known=0.61), "env_steps"
    )
    lines = [line for ax in figure.axes for line in ax.lines]
    looks = {
        line.get_linestyle() + str(line._dash_pattern)  # type: ignore[attr-defined]
        for line in lines
        if line.get_color() == style.BEST_KNOWN_COLOUR
    }
    assert len(looks) == 1


def test_no_spread_is_not_drawn_on_a_logarithmic_axis() -> None:
    table = gradient_table()
    none = table["estimator"] == "exact"
    figure = gradient_quality(table.assign(standard_deviation=np.where(none, 0.0, 0.5)))
    assert min(line.get_ydata()[0] for line in figure.axes[1].lines) > 0.0


def test_errors_of_rounding_do_not_stretch_the_axis() -> None:
    table = gradient_table()
    exact = table["estimator"] == "exact"
    figure = gradient_quality(table.assign(bias=np.where(exact, 1e-15, 0.3)))
    assert figure.axes[0].get_ylim()[0] > 1e-3


def test_a_rung_looks_the_same_at_every_point_and_in_the_legend() -> None:
    table = gradient_table()
    own = (table["estimator"] == "bc_hg") & (table["critic"] == "learned")
    elsewhere = table[own].assign(note="a rung of its own", point="elsewhere")
    figure = gradient_quality(pd.concat([table, elsewhere]))
    legend = figure.axes[-3].get_legend() or figure.legends[0]
    named = {
        text.get_text(): line
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    variants = elsewhere["variant"].unique()
    drawn = {
        line.get_marker() for line in figure.axes[6].lines if line.get_marker() not in (7, "None")
    }
    labels = {style.label("bc_hg", variant) + ", a rung of its own" for variant in variants}
    assert drawn == {named[label].get_marker() for label in labels}


def test_undetected_bias_is_drawn_as_a_bound() -> None:
    figure = FIGURES["gradient_quality"]()
    bounds = [line for line in figure.axes[0].lines if line.get_marker() == 7]
    heights = {y for line in bounds for y in line.get_ydata()}
    assert heights == {0.5 / 0.5}  # bias_error / exact_norm


def test_bands_do_not_squeeze_the_curves() -> None:
    table = curve_table()
    wide = table.assign(low=table["iqm"] - 50.0, high=table["iqm"] + 50.0)
    for x in ("update", "env_steps"):
        low, high = learning_curves(wide, PUBLISHED, BEST, x).axes[0].get_ylim()
        assert -2.5 < low < -1.5
        assert 1.5 < high < 2.5
    narrow = learning_curves(table, PUBLISHED, BEST, "update").axes[0].get_ylim()
    assert narrow[0] > -1.0
    assert narrow[1] < 0.8
