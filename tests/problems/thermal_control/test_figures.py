"""Figures of building thermal control show what their tables say, whatever the grid holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.text import Text

from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.figures import style
from bilevelrl.figures.gallery import Results, Source
from bilevelrl.problems.thermal_control.designs_figure import buildings, random_designs
from bilevelrl.problems.thermal_control.figures import (
    DESIGN_COLUMNS,
    RANDOM_DESIGN_COLUMNS,
    cost_components,
    designs,
    figures,
    names,
    sample_efficiency,
)
from bilevelrl.problems.thermal_control.ladder import LADDER
from bilevelrl.problems.thermal_control.study_figure import RUNGS, directions, variance_ladder
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import DIRECTION_COLUMNS, GRADIENT_COLUMNS, SUMMARY_COLUMNS
from bilevelrl.runs.table_files import CorruptRecord, write_csv, write_parquet

PROBLEM = "thermal_control"
ROOT = Path(__file__).parents[3]
LEVELS = [f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5)]
PARTS = ["stability", "energy", "insulation", "airflow"]
DESIGNS = pd.DataFrame(
    [
        {"design": name, "leader_return": value, "spectral_radius": 0.9}
        | dict.fromkeys([*LEVELS, *PARTS], level)
        for name, value, level in (
            ("start", -262.0, 0.5), ("all 1", -197.0, 1.0), ("best known", -162.5, 0.25),
        )
    ]
)  # fmt: skip
RNG = np.random.default_rng(0)
RANDOM = pd.DataFrame(
    {"leader_return": RNG.normal(-270, 40, 500), "leader_return_sampled": RNG.normal(-270, 60, 500)}
)
HISTOGRAM = pd.read_csv(ROOT / "reference" / "thermal_control_histogram.csv")
DRIFT = pd.read_csv(ROOT / "reference" / "thermal_control_drift.csv")


def trajectories(estimators: dict[str, str], budget: int = 1000) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"estimator": estimator, "variant": variant, "budget": budget, "temperature": 0.1,
             "seed": seed, "update": update, "coordinate": name, "value": 0.1 * seed + update / 10}
            for estimator, variant in estimators.items()
            for seed in range(3)
            for update in range(4)
            for name in [*LEVELS, *PARTS]
        ]
    )  # fmt: skip


def curves(budgets: tuple[int, ...], estimator: str = "bc_hg") -> pd.DataFrame:
    rows = [
        {"estimator": estimator, "variant": "improved", "budget": budget, "temperature": 0.1,
         "case": "", "update": update, "env_steps": budget * update, "iqm": -200.0 + update,
         "low": -210.0, "high": -190.0, "mean": -200.0, "standard_error": 1.0}
        for budget in budgets
        for update in (0, 5, 10)
    ]  # fmt: skip
    columns = ["estimator", "variant", "budget", "temperature", "case", "update", "env_steps",
               "iqm", "low", "high", "mean", "standard_error"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def gradients() -> pd.DataFrame:
    rows = [
        dict.fromkeys(GRADIENT_COLUMNS, 1.0)
        | {"problem": "thermal_control", "point": point, "estimator": rung.estimator,
           "variant": rung.variant, "critic": rung.critic, "rung": rung.id, "note": rung.note,
           "env_steps_per_update": budget,
           "standard_deviation": 10.0 ** (6 - place), "exact_norm": 2.0, "replicates": 9}
        for point in ("update 0", "update 60")
        for budget in (300, 1000)
        for place, rung in enumerate(LADDER)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def direction_rows() -> pd.DataFrame:
    rows = [
        dict.fromkeys(DIRECTION_COLUMNS, 0.01)
        | {"estimator": estimator, "variant": "published", "critic": critic, "group": group}
        for estimator in ("bc_hg", "naive")
        for critic in ("quadratic", "exact")
        for group in ("insulation", "airflow")
    ]
    return pd.DataFrame(rows, columns=list(DIRECTION_COLUMNS))


def lines_of(figure: Figure) -> list[tuple[list[float], list[float]]]:
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))  # type: ignore[arg-type]
        for ax in figure.axes
        for line in ax.lines
    ]


def test_designs_are_means_over_seeds_in_a_panel_each() -> None:
    table = trajectories({"bc_hg": "published", "exact": "published"})
    figure = designs(table)
    assert len(figure.axes) == 8
    assert [ax.get_title() for ax in figure.axes][4] == "airflow β$_1$, zones 1 and 2"
    for ax in figure.axes:
        first, _ = ax.lines
        np.testing.assert_allclose(first.get_ydata(), [0.1, 0.2, 0.3, 0.4])  # type: ignore[arg-type]
    assert len(cost_components(table).axes) == 4


def test_samples_are_on_the_axis_of_every_batch_size() -> None:
    figure = sample_efficiency(curves((100, 1000)), curves(()), -162.5, -197.2, (-180.0,))
    drawn = lines_of(figure)
    assert ([500.0, 1000.0], [-195.0, -190.0]) in drawn
    assert ([5000.0, 10000.0], [-195.0, -190.0]) in drawn
    left, right = (
        {float(line.get_ydata()[0]) for line in ax.lines if len(set(line.get_ydata())) == 1}  # type: ignore[index, arg-type]
        for ax in figure.axes
    )
    assert left == {-162.5, -197.2}
    assert sorted(right) == pytest.approx([180.0 - 162.5, 197.2 - 162.5])
    assert [text.get_text() for text in figure.axes[1].texts] == ["J = −180.0"]


def test_what_is_missing_of_the_best_return_has_an_axis_of_its_own() -> None:
    _, right = sample_efficiency(curves((100,)), curves(()), -162.5, -197.2, ()).axes
    assert right.get_yscale() == "log"
    np.testing.assert_allclose(right.lines[0].get_ydata(), [195.0 - 162.5, 190.0 - 162.5])  # type: ignore[arg-type]


def test_a_leader_that_identifies_its_building_has_seen_its_first_batch() -> None:
    figure = sample_efficiency(curves((1000,)), curves((100,)), -162.5, -197.2, ())
    assert ([100.0, 600.0, 1100.0], [-200.0, -195.0, -190.0]) in lines_of(figure)
    assert "identified building, 100" in texts(figure)


def test_runs_that_lack_nothing_or_failed_are_drawn_too() -> None:
    for value in (-160.0, np.nan):
        figure = sample_efficiency(curves((100,)).assign(iqm=value), curves(()), -162.5, -197.2, ())
        assert figure.axes[1].get_yscale() == "log"


def test_names_of_thresholds_that_would_overlap_are_one() -> None:
    thresholds = (-197.0, -163.5, -164.0)
    _, right = sample_efficiency(curves((100,)), curves(()), -162.5, -197.2, thresholds).axes
    assert [text.get_text() for text in right.texts] == ["J = −197.0", "J = −164.0, −163.5"]
    assert right.texts[1].xy[1] == pytest.approx(1.5**0.5)  # type: ignore[attr-defined]


def test_the_ladder_shows_every_bc_hg_rung_at_the_largest_budget() -> None:
    figure = variance_ladder(gradients())
    learned = {rung.id for rung in LADDER if rung.estimator == "bc_hg" and rung.critic != "exact"}
    assert learned == set(RUNGS)
    drawn = [line for line in lines_of(figure) if len(line[0]) == len(RUNGS)]
    assert len(drawn) == 2  # one per design
    assert drawn[0][1] == [float(number) for number in range(len(RUNGS))]
    assert "1,000 transitions" in figure.axes[0].get_xlabel()


def test_a_rung_that_the_figure_does_not_know_is_an_error() -> None:
    table = gradients()
    table.loc[table["rung"] == "bc_hg_improved", "rung"] = "bc_hg_improved_renamed"
    with pytest.raises(ValueError, match=r"knows no rungs \['bc_hg_improved_renamed'\]"):
        variance_ladder(table)


def test_directions_have_the_published_drift_beside_ours() -> None:
    figure = directions(direction_rows(), DRIFT)
    assert len(figure.axes) == 4
    published = [line for line in lines_of(figure) if 0.137 in line[0]]
    assert published == [([0.137, 0.137, 0.033, 0.033], [0.0, 1.0, 2.0, 3.0])]


def test_no_direction_is_cut_off_by_its_axis() -> None:
    table = direction_rows()
    table.loc[0, ["drift", "cosine_total"]] = [0.9, -0.15]
    for ax in directions(table, DRIFT).axes:
        low, high = ax.get_xlim()
        for line in ax.lines:
            inside = np.asarray(line.get_xdata(), dtype=float)
            assert ((low <= inside) & (inside <= high)).all()


def test_batch_sizes_without_a_published_variant_are_left_to_the_samples_figure(
    tmp_path: Path,
) -> None:
    both = pd.concat([curves((100, 1000)), curves((1000,), "naive").assign(variant="published")])
    write_tables(tmp_path, direction_rows())
    drawn = dict(figures(make_source(tmp_path, both, trajectories({"bc_hg": "published"}))))
    titles = [ax.get_title() for ax in drawn["learning_curves"].axes]
    assert titles == ["1000 transitions per update"]
    assert "100 transitions per update" in texts(drawn["sample_efficiency"])
    assert "identified building, 100" in texts(drawn["sample_efficiency"])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]  # type: ignore[attr-defined]


def histogram(published: pd.DataFrame) -> tuple[list[float], list[float], list[float]]:
    """Counts of sampled and of exact returns, and the left edges that they share."""
    (ax,) = random_designs(RANDOM, published, -162.5).axes
    (bars,) = ax.containers
    (outline,) = (patch for patch in ax.patches if isinstance(patch, Polygon))
    steps = outline.get_xy()
    edges = [bar.get_x() for bar in bars]  # type: ignore[attr-defined]
    assert steps[1:-1:2, 0] == pytest.approx(edges)
    return [bar.get_height() for bar in bars], steps[1:-1:2, 1].tolist(), edges  # type: ignore[attr-defined]


def test_random_designs_are_counted_in_the_published_bins() -> None:
    sampled, exact, edges = histogram(HISTOGRAM)
    assert sum(sampled) == sum(exact) == 500
    near = [min(abs(edge - low) for edge in edges) for low in HISTOGRAM["low"]]
    assert max(near) < 0.01  # the digits that are published


def test_without_a_published_histogram_there_are_thirty_bins_over_ours() -> None:
    sampled, exact, edges = histogram(HISTOGRAM.iloc[:0])
    assert sum(sampled) == sum(exact) == 500
    assert len(edges) == 30
    assert edges[0] == RANDOM.min().min()


def test_walls_and_doors_are_as_large_as_the_levels() -> None:
    figure = buildings(DESIGNS, {"start": "a", "all 1": "b", "missing": "c"})
    assert len(figure.axes) == 2
    thick = [
        min(patch.get_width(), patch.get_height())  # type: ignore[attr-defined]
        for ax in figure.axes
        for patch in ax.patches
        if patch.get_facecolor()[:3] == pytest.approx((0x8C / 255, 0x51 / 255, 0x0A / 255))
    ]
    assert thick == pytest.approx([0.1] * 8 + [0.18] * 8)
    wide = [
        max(patch.get_width(), patch.get_height())  # type: ignore[attr-defined]
        for ax in figure.axes
        for patch in ax.patches
        if patch.get_facecolor()[:3] == pytest.approx((0x56 / 255, 0xB4 / 255, 0xE9 / 255))
    ]
    assert wide == pytest.approx([0.35] * 4 + [0.7] * 4)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "zone 1\nα = 0.50" in texts
    assert texts.count("β = 0.50") == 4


def make_results(learning: pd.DataFrame) -> Results:
    summary = pd.DataFrame(columns=[*SUMMARY_COLUMNS, "temperature", "budget", "case", "study"])
    published = pd.DataFrame(
        columns=["estimator", "temperature", "budget", "update", "leader_return", "standard_error"]
    )
    alike = pd.DataFrame(columns=["estimator", "temperature", "budget", "update", "masked_mean"])
    return Results(PROBLEM, summary, learning, gradients(), published, alike, (0.1,))


def write_tables(root: Path, turned: pd.DataFrame) -> None:
    """Tables that only this problem has, and directions of another one beside its own."""
    environments = root / "data" / "environments" / PROBLEM
    write_csv(environments / "designs.csv", DESIGNS.reindex(columns=list(DESIGN_COLUMNS)))
    drawn = RANDOM.reindex(columns=list(RANDOM_DESIGN_COLUMNS))
    write_csv(environments / "random_search.csv", drawn)
    evaluated = root / "data" / "evaluate" / PROBLEM
    write_csv(evaluated / "directions.csv", turned.assign(problem=PROBLEM))
    identified = curves((100,)).assign(study="identified")
    others = dict.fromkeys(set(LEARNING_CURVE_COLUMNS) - set(identified), 0)
    every = identified.assign(**others)
    write_parquet(evaluated / "learning_curves.parquet", every, LEARNING_CURVE_COLUMNS)
    write_csv(root / "reference" / f"{PROBLEM}_drift.csv", DRIFT)
    write_csv(root / "reference" / f"{PROBLEM}_histogram.csv", HISTOGRAM)


def make_source(
    root: Path, learning: pd.DataFrame, walked: pd.DataFrame, *thresholds: float
) -> Source:
    block = read_params(ROOT / "params.yaml").block(PROBLEM)
    return Source(make_results(learning), root, block, walked, thresholds)


@pytest.mark.parametrize("complete", [True, False])
def test_the_gallery_draws_all_names_from_whatever_is_there(complete: bool, tmp_path: Path) -> None:
    estimators = {"bc_hg": "improved", "naive": "published"} if complete else {"bc_hg": "published"}
    write_tables(tmp_path, direction_rows() if complete else direction_rows().iloc[:0])
    learning = curves((100, 1000)) if complete else curves((), "naive")
    drawn = dict(figures(make_source(tmp_path, learning, trajectories(estimators), -180.0)))
    assert set(drawn) == set(names())
    own = lines_of(drawn["directions"])
    assert any(0.01 in x for x, _ in own) == complete
    marked = "J = −180.0" in texts(drawn["sample_efficiency"])
    assert marked == complete
    for name, figure in drawn.items():
        style.save(figure, tmp_path, name)
        assert (tmp_path / "png" / f"{name}.png").stat().st_size > 1000
        assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 8.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [
        f"data/environments/{PROBLEM}/designs.csv",
        f"data/environments/{PROBLEM}/random_search.csv",
        f"reference/{PROBLEM}_drift.csv",
        f"reference/{PROBLEM}_histogram.csv",
    ],
)
def test_a_missing_table_is_named(name: str, tmp_path: Path) -> None:
    write_tables(tmp_path, direction_rows())
    (tmp_path / name).unlink()
    with pytest.raises(CorruptRecord, match=Path(name).name):
        next(figures(make_source(tmp_path, curves((100,)), trajectories({}))))
