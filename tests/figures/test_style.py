"""Estimators and variants are told apart."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bilevelrl.core.entries import names_of
from bilevelrl.figures import style
from bilevelrl.problems import registry


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


@pytest.mark.parametrize(("letters", "columns"), [(5, 4), (15, 3), (20, 2), (40, 1), (90, 1)])
def test_a_legend_has_the_columns_that_its_figure_has_room_for(letters: int, columns: int) -> None:
    with style.theme():
        figure, _ = style.new_figure(6.0, 3.0, 1, 1)
        style.legend_below(figure, [style.band_handle("n" * letters)] * 8, columns=4)
    (legend,) = figure.legends
    # Entries that stand below each other begin at the same place.
    figure.draw_without_rendering()
    begins = {round(text.get_window_extent().x0) for text in legend.get_texts()}
    assert len(begins) == columns
    # One that is wider than the figure stands in a column of its own.
    assert (legend.get_window_extent().width <= figure.bbox.width) == (letters < 90)
