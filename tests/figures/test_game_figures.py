"""Figures of the games draw what the tables say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from bilevelrl.figures import style
from bilevelrl.figures.ablation import ablation
from bilevelrl.figures.against_published import against_published
from bilevelrl.figures.gallery import Results, Source
from bilevelrl.problems import registry
from bilevelrl.problems.bilevel_lqr.behaviour_figure import return_histogram, state_trajectories
from bilevelrl.problems.bilevel_lqr.landscape_figure import lqr_landscape
from bilevelrl.problems.discrete_toy.landscape_figure import toy_landscape
from bilevelrl.runs.params import read_params
from tests.figures import game_tables
from tests.figures.game_tables import LQR, TOY
from tests.settings import conditioned

SHIPPED = read_params(Path(__file__).parents[2] / "params.yaml")
J = "leader return J(θ)"
TARGET = {"x1": (-0.8, 0.2), "x2": (0.0, 0.01)}
BC_HG = style.ESTIMATORS["bc_hg"].colour


UNMASKED = game_tables.as_published(LQR, masked=False).iloc[:0]


def toy_map() -> pd.DataFrame:
    return game_tables.toy_landscape().rename(columns={"discounted": "leader_return"})


FIGURES: dict[str, Callable[[], Figure]] = {
    "toy_landscape": lambda: toy_landscape(toy_map(), game_tables.trajectories(TOY), J),
    "lqr_landscape": lambda: lqr_landscape(
        game_tables.lqr_landscape(), game_tables.trajectories(LQR), J
    ),
    "ablation": lambda: ablation(conditioned(game_tables.summary(LQR)), J),
    "against_published": lambda: against_published(
        game_tables.curves(LQR), game_tables.published(LQR), UNMASKED, J, "log"
    ),
    "states": lambda: state_trajectories(game_tables.simulations(), TARGET),
    "returns": lambda: return_histogram(game_tables.returns()),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "toy_landscape": lambda: toy_landscape(toy_map(), game_tables.trajectories(TOY).iloc[:0], J),
    "lqr_landscape": lambda: lqr_landscape(
        game_tables.lqr_landscape().iloc[:0], game_tables.trajectories(LQR), J
    ),
    "ablation": lambda: ablation(conditioned(game_tables.summary(TOY)), J),
    "against_published": lambda: against_published(
        game_tables.curves(LQR), game_tables.published(LQR).iloc[:0], UNMASKED, J, "log"
    ),
    "states": lambda: state_trajectories(game_tables.simulations().iloc[:0], TARGET),
    "returns": lambda: return_histogram(game_tables.returns().iloc[:0]),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("name", FIGURES)
def test_same_table_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        style.save(FIGURES[name](), tmp_path / folder, name)
    for suffix in ("png", "pdf"):
        first, second = (
            (tmp_path / run / suffix / f"{name}.{suffix}").read_bytes()
            for run in ("first", "second")
        )
        assert first == second


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_at_least_eight_points(name: str) -> None:
    figure = FIGURES[name]()
    sizes = {
        text.get_fontsize()
        for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
        if text.get_text()
    }
    assert min(sizes) >= 8.0


@pytest.mark.parametrize("name", EMPTY)
def test_what_is_absent_says_so(name: str) -> None:
    assert any("not in this grid" in text for text in texts(EMPTY[name]()))
    assert not any("not in this grid" in text for text in texts(FIGURES[name]()))


def test_toy_seeds_start_and_end_where_the_table_says() -> None:
    top, bottom = FIGURES["toy_landscape"]().axes[0], FIGURES["toy_landscape"]().axes[3]
    starts, ends = (line for line in top.lines if line.get_marker() == "o")
    assert starts.get_xdata() == pytest.approx([0.0, 0.0])
    assert ends.get_xdata() == pytest.approx([0.4, 0.8])
    assert ends.get_ydata() == pytest.approx([1.4, 1.8])
    median = max(bottom.lines, key=lambda line: line.get_linewidth())
    assert median.get_xdata() == pytest.approx(0.15 * game_tables.UPDATES)


def test_toy_leaders_are_drawn_against_their_own_follower() -> None:
    released, corrected = FIGURES["toy_landscape"]().axes[:2]
    for ax, best in ((released, 0.2), (corrected, 0.3)):
        solid = max(ax.lines[:2], key=lambda line: line.get_linewidth())
        assert solid.get_ydata() == pytest.approx(2.0 - np.abs(game_tables.Q - best))
        assert ax.lines[2].get_xdata() == pytest.approx([best, best])  # the optimum


def test_lqr_map_marks_the_highest_point_that_anyone_saw() -> None:
    stars = [line for line in FIGURES["lqr_landscape"]().axes[0].lines if line.get_marker() == "*"]
    # J = 1 at the middle of the grid, 1.8 where seed 1 ends.
    assert [(*star.get_xdata(), *star.get_ydata()) for star in stars] == [
        pytest.approx((0.8, -0.8))
    ]


def test_lqr_map_counts_the_seeds_that_left_it() -> None:
    near = game_tables.lqr_landscape()
    near = near[near["k1"] <= 0.5]
    figure = lqr_landscape(near, game_tables.trajectories(LQR), J)
    assert "1 of 2 end outside" in figure.axes[0].get_title()
    assert "outside" not in FIGURES["lqr_landscape"]().axes[0].get_title()


def test_ablation_has_the_published_mean_beside_the_released_configuration() -> None:
    mean, iqm = FIGURES["ablation"]().axes
    crosses = [line for line in mean.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_ydata().tolist() for line in crosses] == [[0.25]]
    assert abs(crosses[0].get_xdata()[0]) < 0.5  # the first group
    assert not any(line.get_marker() == "x" for line in iqm.lines)
    assert "BC-HG, corrected" not in texts(FIGURES["ablation"]())


def test_published_curves_stand_beside_the_mean() -> None:
    figure = FIGURES["against_published"]()
    (panel,) = figure.axes
    ours, theirs = panel.lines
    assert set(ours.get_ydata()) == {0.5}
    assert set(theirs.get_ydata()) == {0.25}
    lowest = min(path.vertices[:, 1].min() for path in panel.collections[0].get_paths())
    assert lowest > 0.0  # mean - SE is negative, which a logarithmic axis cannot show


def test_a_masked_curve_has_ours_masked_beside_it() -> None:
    masked = game_tables.as_published(LQR, masked=True)
    curves, published = game_tables.curves(LQR), game_tables.published(LQR)
    figure = against_published(curves, published, masked, J, "log")
    (panel,) = figure.axes
    assert [set(line.get_ydata()) for line in panel.lines] == [{0.5}, {0.25}, {0.75}]
    assert any("extreme seeds" in text for text in texts(figure))
    assert not any("extreme seeds" in text for text in texts(FIGURES["against_published"]()))


def test_the_last_panel_of_every_column_names_its_updates() -> None:
    theirs = game_tables.published(TOY)
    ours, known = (
        game_tables.curves(TOY),
        ("bc_hg", "naive_on", "naive_off", "bi_ac_on", "bi_ac_off"),
    )
    ours = ours[ours["estimator"] == "bc_hg"]
    five, published = (
        pd.concat([rows.assign(estimator=name) for name in known]) for rows in (ours, theirs)
    )
    figure = against_published(five, published, UNMASKED, J, "linear")
    named = [bool(ax.get_xlabel()) for ax in figure.axes if ax.axison]
    assert named == [False, False, True, True, True]
    for ax in figure.axes[2:5]:
        assert ax.xaxis.get_tick_params()["labelbottom"]


def test_every_episode_is_counted_in_the_histogram() -> None:
    (ax,) = FIGURES["returns"]().axes
    shares = [patch.get_height() for patch in ax.patches if hasattr(patch, "get_height")]
    assert sum(shares) == pytest.approx(2.0)  # two gains, also the episode that returned nothing


def results_of(problem: str, rows: int | None = None) -> Results:
    return Results(
        problem,
        conditioned(game_tables.summary(problem)).iloc[:rows],
        game_tables.curves(problem).iloc[:rows],
        game_tables.gradients(problem).iloc[:rows],
        game_tables.published(problem).iloc[:rows],
        UNMASKED,
        (0.05 if problem == TOY else 0.1,),
    )


def drawn_from(root: Path, problem: str, rows: int | None = None) -> dict[str, Figure]:
    source = Source(
        results_of(problem, rows),
        root,
        SHIPPED.block(problem),
        game_tables.trajectories(problem).iloc[:rows],
        (),
    )
    return dict(registry.part(source.block.kind, "figures").figures(source))


def names_of(problem: str) -> tuple[str, ...]:
    names: tuple[str, ...] = registry.part(SHIPPED.block(problem).kind, "figures").names()
    return names


@pytest.mark.parametrize("rows", [None, 0])
def test_a_gallery_draws_every_name_even_without_rows(rows: int | None, tmp_path: Path) -> None:
    game_tables.write_environments(tmp_path, rows)
    drawn = {problem: drawn_from(tmp_path, problem, rows) for problem in (TOY, LQR)}
    made = {"truncated_follower"} if rows is None else set()  # drawn where the study was made
    assert set(drawn[TOY]) == {*names_of(TOY)} | made
    assert set(drawn[LQR]) == {*names_of(LQR)}
    assert made.isdisjoint(names_of(TOY))
    for own in drawn.values():
        absent = {name for name, fig in own.items() if "not in this grid" in str(texts(fig))}
        assert absent == (set() if rows is None else set(own))
    if rows is None:
        labels = drawn[LQR]["learning_curves"].axes[0].get_ylabel()
        assert "undiscounted leader return" in labels
