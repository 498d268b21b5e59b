"""Figures draw what the tables say, and the same bytes every time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bilevelrl.core.entries import names_of
from bilevelrl.figures import style, tables
from bilevelrl.figures.final_return import final_return
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.learning_curves import learning_curves
from bilevelrl.figures.truncated_follower import truncated_follower
from bilevelrl.problems import registry
from bilevelrl.problems.four_rooms.initial_spread_figure import initial_spread
from bilevelrl.problems.four_rooms.penalty_maps import penalty_maps
from bilevelrl.runs.records import GRADIENT_COLUMNS

PAIRS = [("bc_hg", "published"), ("bc_hg", "corrected"), ("exact", "published")]
BEST = pd.DataFrame({"variant": ["published", "corrected"], "best_known": [0.61, 0.57]})
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
             "high": middle + 0.1, "estimator": estimator, "variant": variant, "budget": budget}
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


def test_undetected_bias_is_drawn_as_a_bound() -> None:
    figure = FIGURES["gradient_quality"]()
    bounds = [line for line in figure.axes[0].lines if line.get_marker() == 7]
    heights = {y for line in bounds for y in line.get_ydata()}
    assert heights == {0.5 / 0.5}  # bias_error / exact_norm


@pytest.mark.parametrize("kind", registry.KINDS)
def test_estimators_of_a_problem_are_told_apart(kind: str) -> None:
    block = registry.part(kind, "settings").BLOCK
    looks = [style.ESTIMATORS[name] for name in names_of(block.estimators)]
    assert len({s.colour for s in looks}) == len({s.marker for s in looks}) == len(looks)


def test_variants_are_told_apart_without_colour() -> None:
    looks = [style.line_style("bc_hg", variant) for variant in style.VARIANTS]
    assert len({str(look["linestyle"]) for look in looks}) == len(looks)
    assert len({(look["fillstyle"], look["markerfacecolor"]) for look in looks}) == len(looks)


def test_no_estimator_is_faint() -> None:
    for s in style.ESTIMATORS.values():
        assert max(np.dot(to_rgb(s.colour), (0.2126, 0.7152, 0.0722)), 0.0) < 0.75


def test_an_estimator_without_a_style_is_told_by_its_name() -> None:
    assert style.estimator_order(["unheard_of", "exact", "bc_hg"]) == [
        "bc_hg", "exact", "unheard_of",
    ]  # fmt: skip
    assert style.label("unheard_of", "corrected") == "Unheard of, corrected"
    colours = {own.colour for own in style.ESTIMATORS.values()}
    assert style.look("unheard_of").colour not in colours
    assert style.line_style("unheard_of")["color"] == style.look("unheard_of").colour


def test_a_variant_without_a_style_is_refused() -> None:
    with pytest.raises(KeyError, match="unheard_of"):
        style.variant_order(["unheard_of"])


NAN = float("nan")


def result_rows(
    study: str = "main", seeds: int = 10, special: str = "", **changed: tuple[float, ...]
) -> pd.DataFrame:
    values: dict[str, tuple[float, ...]] = {
        "leader_return_final_iqm": (0.5, 0.4, 0.6),
        "leader_return_mean": (-0.0004, -1, 1),
        "leader_return_se": (0.01, NAN, NAN),
        "leader_return_final_worst": (-1.5, NAN, NAN),
        "failed_runs": (0.0, NAN, NAN),
        "stuck_fraction": (0.3, 0.1, 0.6),
    } | changed
    return pd.DataFrame(
        {"estimator": estimator, "variant": variant, "temperature": 0.003, "budget": budget,
         "study": study, "setting": "its name", "special": special, "seeds": seeds,
         "metric": metric, "value": value, "low": low, "high": high}
        for estimator, variant, budget in (
            ("bc_hg", "published", 100), ("bc_hg", "published", 400),
            ("bc_hg", "corrected", 100), ("exact", "published", 0),
        )
        for metric, (value, low, high) in values.items()
    )  # fmt: skip


def test_means_table_has_a_row_per_estimator_and_a_column_per_budget() -> None:
    markdown = tables.to_markdown(tables.means_table(result_rows()))
    assert markdown.splitlines() == [
        "| temperature | estimator | 100 | 400 |",
        "| --- | --- | --- | --- |",
        "| 0.003 | BC-HG | 0.000 ± 0.010 | 0.000 ± 0.010 |",
        "| 0.003 | BC-HG, corrected | 0.000 ± 0.010 | – |",
        "| 0.003 | Exact | 0.000 ± 0.010 | 0.000 ± 0.010 |",
    ]


def test_beside_a_robust_statistic_stand_mean_worst_seed_and_failures() -> None:
    lines = tables.to_markdown(tables.results_table(result_rows())).splitlines()
    head = "IQM [interval] | mean ± SE | worst seed | failed | stuck |"
    told = "0.500 [0.400, 0.600] | 0.000 ± 0.010 | −1.500 | 0 of 10 | 3 of 10 |"
    assert lines == [
        f"| temperature | estimator | transitions | {head}",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| 0.003 | BC-HG | 100 | {told}",
        f"| 0.003 | BC-HG | 400 | {told}",
        f"| 0.003 | BC-HG, corrected | 100 | {told}",
        f"| 0.003 | Exact | – | {told}",
    ]


def test_a_failed_run_leaves_its_count() -> None:
    nothing = (NAN, NAN, NAN)
    names = ("final_iqm", "mean", "se", "final_worst")
    gone = dict.fromkeys((f"leader_return_{name}" for name in names), nothing)
    table = tables.results_table(result_rows(failed_runs=(2.0, NAN, NAN), **gone))
    told = table.iloc[0][["IQM [interval]", "mean ± SE", "worst seed", "failed"]]
    assert told.tolist() == ["–", "–", "–", "2 of 10"]


def test_one_seed_has_neither_error_nor_interval() -> None:
    rows = result_rows(
        seeds=1, leader_return_mean=(0.4, NAN, NAN), leader_return_se=(NAN, NAN, NAN),
        leader_return_final_iqm=(0.4, NAN, NAN),
    )  # fmt: skip
    told = tables.results_table(rows).iloc[0]
    assert told["IQM [interval]"] == told["mean ± SE"] == "0.400"
    assert tables.means_table(rows).iloc[0]["100"] == "0.400"


def test_a_study_says_what_it_studies_and_what_a_best_response_would_give() -> None:
    special = "follower = truncated, policy_iterations = 5"
    played = result_rows("truncated_follower", special=special)
    known = {"leader_return_optimal_mean": (0.2, 0, 1), "leader_return_optimal_se": (0.1, NAN, NAN),
             "leader_return_optimal_worst": (-2.0, NAN, NAN)}  # fmt: skip
    both = result_rows("truncated_follower", special=special, **known)
    other = result_rows("clipped")
    assert "worst seed there" not in tables.results_table(played)
    table = tables.results_table(pd.concat([both, other], ignore_index=True))
    told = ["study", "conditions", "mean ± SE", "best response: mean ± SE", "worst seed there"]
    assert table[told].drop_duplicates().to_numpy().tolist() == [
        ["clipped", "–", "0.000 ± 0.010", "–", "–"],
        ["truncated_follower", "follower = truncated, policy_iterations = 5", "0.000 ± 0.010",
         "0.200 ± 0.100", "−2.000"],
    ]  # fmt: skip


def test_latex_table_is_escaped_and_never_prints_minus_zero() -> None:
    latex = tables.to_latex(tables.means_table(result_rows()))
    assert r"0.003 & BC-HG & 0.000 $\pm$ 0.010" in latex
    assert r"\toprule" in latex
    assert "−" not in latex
    assert "–" not in latex


def comparison(**changed: object) -> pd.DataFrame:
    row = {
        "temperature": 0.1, "budget": 100, "estimator": "bc_hg", "ours_mean": -0.5,
        "ours_standard_error": 0.1, "published_mean": -0.2, "published_standard_error": 0.05,
        "difference": -0.3, "z": -2.68, "within_3_se": True, "masked": 0, "ours_masked_mean": NAN,
        "ours_masked_standard_error": NAN, "masked_difference": NAN, "masked_z": NAN,
        "masked_within_3_se": None,
    }  # fmt: skip
    return pd.DataFrame([row | changed])


def test_a_comparison_without_a_verdict_shows_none() -> None:
    (row,) = tables.against_published_table(comparison()).to_dict("records")
    assert (row["z"], row["within 3 SE"]) == ("−2.7", "yes")
    assert not any("masked" in name for name in row)
    unknown = comparison(z=NAN, within_3_se=NAN, ours_standard_error=NAN)
    (row,) = tables.against_published_table(unknown).to_dict("records")
    assert (row["ours"], row["z"], row["within 3 SE"]) == ("−0.500", "–", "–")


def test_masked_curves_are_compared_with_ours_masked_beside_ours() -> None:
    masked = comparison(
        masked=1, ours_masked_mean=-0.25, ours_masked_standard_error=0.1, masked_difference=-0.05,
        masked_z=-0.45, masked_within_3_se=True, within_3_se=False,
    )  # fmt: skip
    (row,) = tables.against_published_table(masked).to_dict("records")
    assert (row["ours"], row["within 3 SE"]) == ("−0.500 ± 0.100", "no")
    assert row["ours, masked likewise"] == "−0.250 ± 0.100"
    assert (row["difference, masked"], row["z, masked"]) == ("−0.050", "−0.5")
    assert row["within 3 SE, masked"] == "yes"


def test_empty_tables_say_so() -> None:
    empty = tables.against_published_table(pd.DataFrame())
    assert tables.to_markdown(empty) == tables.to_latex(empty) == "Not in this grid.\n"
