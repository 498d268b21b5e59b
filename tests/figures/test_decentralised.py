"""Figures of leaders that only watch and followers that learn draw what the tables say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from bilevelrl.figures import decentralised, learning_followers, style
from tests.figures import game_tables
from tests.figures.game_tables import TOY
from tests.settings import conditioned

ROOMS = "four_rooms"
EXACT = "follower=exact;information=full;temperature=0.003"
WATCHING = "follower=exact;information=rewards;temperature=0.003"
PLANNED = f"belief=planned;{WATCHING}"
BLIND = "follower=exact;information=actions;temperature=0.003"
TRUNCATED = "follower=truncated;information=full;policy_iterations=5;start=carry;temperature=0.003"
SOFT_Q = "follower=soft_q;follower_steps=10;information=full;start=carry;temperature=0.003"
BOTH = "follower=soft_q;follower_steps=10;information=rewards;start=carry;temperature=0.003"
#: Setting, final J, cosine, and what the follower lacks.
ROWS = [
    (EXACT, 0.9, 0.8, 0.0), (WATCHING, 0.8, 0.7, 0.0), (PLANNED, 0.85, 0.75, 0.0),
    (BLIND, 0.5, 0.3, 0.0), (TRUNCATED, 0.7, 0.6, 0.1), (SOFT_Q, 0.6, 0.5, 0.2),
    (BOTH, 0.4, 0.4, 0.4),
]  # fmt: skip
METRICS = ("leader_return_final_iqm", "cosine_mean", "follower_value_gap")
MARKER = {"full": "o", "rewards": "s", "actions": "^"}
STEPS = np.array([100, 200, 300])


def summary(*problems: str, estimator: str = "bc_hg") -> pd.DataFrame:
    rows = [
        (problem, estimator, "corrected", f"env_steps_per_update={budget};{setting}", metric, value,
         value - 0.1, value + 0.2, 3)
        for problem in problems
        for budget in (100, 1000)
        for setting, *values in ROWS
        for metric, value in zip(METRICS, values, strict=True)
    ]  # fmt: skip
    names = ["problem", "estimator", "variant", "setting", "metric", "value", "low", "high",
             "seeds"]  # fmt: skip
    return conditioned(pd.DataFrame(rows, columns=names))


def curves(*problems: str) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {"problem": problem, "estimator": "bc_hg", "variant": "corrected", "update": STEPS,
             "setting": f"env_steps_per_update=100;{setting}", "env_steps": STEPS,
             "follower_steps": 0 if "exact" in setting else 10 * STEPS, "iqm": final}
        )
        for problem in problems
        for setting, final, *_ in ROWS
        if "truncated" not in setting
    ]  # fmt: skip
    return conditioned(pd.concat(tables, ignore_index=True))


def followers() -> pd.DataFrame:
    return pd.concat([game_tables.followers(ROOMS), game_tables.followers(TOY)], ignore_index=True)


def watched() -> pd.DataFrame:
    tables = map(game_tables.information_errors, (ROOMS, TOY))
    return pd.concat(list(tables), ignore_index=True)


def without(table: pd.DataFrame, *studies: str) -> pd.DataFrame:
    return table[~table["study"].isin(studies)]


FIGURES: dict[str, Callable[[], Figure]] = {
    "information_levels": lambda: decentralised.information_levels(summary(ROOMS, TOY)),
    "follower_accuracy": lambda: learning_followers.follower_accuracy(summary(ROOMS, TOY)),
    "follower_learning": lambda: learning_followers.follower_learning(followers()),
    "information_errors": lambda: decentralised.information_errors(watched()),
    "total_samples": lambda: decentralised.total_samples(curves(ROOMS, TOY)),
}
LEARNERS = ("learning_follower", "truncated_follower")
EMPTY: dict[str, Callable[[], Figure]] = {
    "information_levels": lambda: decentralised.information_levels(
        without(summary(ROOMS), "information")
    ),
    "follower_accuracy": lambda: learning_followers.follower_accuracy(
        without(summary(ROOMS), *LEARNERS)
    ),
    "follower_learning": lambda: learning_followers.follower_learning(followers().iloc[:0]),
    "information_errors": lambda: decentralised.information_errors(watched().iloc[:0]),
    "total_samples": lambda: decentralised.total_samples(
        without(curves(ROOMS), "learning_follower")
    ),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def data(line: Line2D) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """x and y of a line's points."""
    return tuple(np.asarray(line.get_xdata()).tolist()), tuple(
        np.asarray(line.get_ydata()).tolist()
    )


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
    sizes = {text.get_fontsize() for text in FIGURES[name]().findobj(Text) if text.get_text()}
    assert min(sizes) >= 8.0


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_absent_says_so(name: str) -> None:
    assert any("not in this grid" in text for text in texts(EMPTY[name]()))
    drawn = texts(FIGURES[name]())
    assert not any("not in this grid" in text for text in drawn)
    for problem in (ROOMS, TOY):
        assert sum(problem in text for text in drawn) == 1


@pytest.mark.parametrize("name", FIGURES)
def test_tables_without_rows_are_no_error(name: str) -> None:
    nothing = {
        "information_levels": summary(ROOMS), "follower_accuracy": summary(ROOMS),
        "information_errors": watched(), "follower_learning": followers(),
        "total_samples": curves(ROOMS),
    }[name].iloc[:0]  # fmt: skip
    drawn = decentralised if hasattr(decentralised, name) else learning_followers
    figure = getattr(drawn, name)(nothing)
    assert any("not in this grid" in text for text in texts(figure))


def test_other_estimators_are_no_study() -> None:
    figure = decentralised.information_levels(summary(ROOMS, estimator="naive"))
    assert any("not in this grid" in text for text in texts(figure))


def test_levels_stand_in_their_order_with_their_intervals() -> None:
    ax = FIGURES["information_levels"]().axes[0]
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["full", "rewards", "rewards\nplanned", "actions"]
    points: dict[str, list[float]] = {}
    for container in ax.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (bar,) = container.lines
        x, y = data(line)
        points.setdefault(labels[round(x[0])], []).append(y[0])
        ends = bar.get_segments()[0][:, 1]
        assert ends == pytest.approx([y[0] - 0.1, y[0] + 0.2])
    expected = {"full": 0.9, "rewards": 0.8, "rewards\nplanned": 0.85, "actions": 0.5}
    # Both budgets, and neither truncated nor learning followers.
    assert points == {label: [value] * 2 for label, value in expected.items()}


def test_points_stand_where_follower_and_leader_ended() -> None:
    left, right = FIGURES["follower_accuracy"]().axes[:2]
    for ax, column in ((left, 1), (right, 2)):
        found = {
            (data(line)[0][0], data(line)[1][0], line.get_marker(), line.get_fillstyle())
            for line in ax.lines
        }  # fmt: skip
        studied = [row for row in ROWS if "exact" not in row[0]]
        assert len(ax.lines) == 2 * len(studied)  # of both budgets
        assert found == {
            (row[3], row[column], MARKER["rewards" if "rewards" in row[0] else "full"],
             "left" if "truncated" in row[0] else "none")
            for row in studied
        }  # fmt: skip


def test_one_follower_is_no_comparison() -> None:
    table = summary(ROOMS, TOY)
    lone = (table["problem"] == TOY) & (table["setting"] != f"env_steps_per_update=100;{TRUNCATED}")
    figure = learning_followers.follower_accuracy(table[~lone])
    assert [ax.get_title(loc="left") for ax in figure.axes] == [ROOMS, ""]


def test_a_follower_that_lacks_nothing_has_a_place_on_the_logarithmic_axis() -> None:
    table = summary(ROOMS)
    table.loc[table["metric"] == "follower_value_gap", "value"] = -1e-15
    ax = learning_followers.follower_accuracy(table).axes[0]
    assert all(data(line)[0][0] > 0.0 for line in ax.lines)


def test_followers_are_drawn_with_their_seeds() -> None:
    axes = FIGURES["follower_learning"]().axes
    assert len(axes) == 4
    for ax, scale in zip(axes, (1.0, 1.0, 0.2, 0.2), strict=True):  # KL above, gap below
        (line,) = ax.lines
        steps, median = data(line)
        assert steps == (100, 1000, 10_000)
        assert median == pytest.approx(scale * 0.5 ** np.arange(3.0))
        heights = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
        assert heights.min() == pytest.approx(0.5 * scale * 0.25)
        assert heights.max() == pytest.approx(2.0 * scale)
        assert ax.get_xscale() == ax.get_yscale() == "log"


def test_two_followers_of_a_problem_have_a_column_each() -> None:
    soft_q = game_tables.followers(ROOMS)
    deep = soft_q.assign(follower="sac", kl_median=0.3)
    axes = learning_followers.follower_learning(pd.concat([soft_q, deep])).axes
    assert [ax.get_title().split("\n")[1] for ax in axes[:2]] == ["soft Q-learning", "SAC"]
    for ax in axes:
        (line,) = ax.lines
        assert data(line)[0] == (100, 1000, 10_000)
    assert data(axes[1].lines[0])[1] == (0.3, 0.3, 0.3)


def test_a_follower_that_loses_less_than_nothing_does_not_stretch_the_axis() -> None:
    table = game_tables.followers(ROOMS)
    table.loc[table.index[-1], "relative_gap_min"] = -1e-3
    ax = learning_followers.follower_learning(table).axes[1]
    smallest = table[table["relative_gap_min"] > 0.0]["relative_gap_min"].min()
    edge = 0.7 * min(smallest, table["relative_gap_median"].min())
    assert ax.get_ylim()[0] == pytest.approx(edge)
    heights = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
    assert heights.min() == pytest.approx(edge)


def test_errors_are_drawn_with_their_slopes() -> None:
    figure = FIGURES["information_errors"]()
    ax = figure.axes[0]
    legend = ax.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [
        "full: −0.50 ± 0.06", "full, constant step: −0.12 ± 0.06",
        "rewards, planned: −0.75 ± 0.06", "rewards, evaluated: −0.25 ± 0.06",
    ]  # fmt: skip
    exponents = (-0.5, -0.125, -0.75, -0.25)
    styles, sizes = ("-", ":", "-", "-"), np.array([100.0, 1000.0, 10_000.0])
    for container, exponent, dashes in zip(ax.containers, exponents, styles, strict=True):
        assert isinstance(container, ErrorbarContainer)
        line, _, (bar,) = container.lines
        x, y = data(line)
        assert x == tuple(sizes)
        assert y == pytest.approx(sizes**exponent)
        assert line.get_linestyle() == dashes
        assert bar.get_segments()[0][:, 1] == pytest.approx([0.9 * y[0], 1.1 * y[0]])
    # The line to compare with has the slope of the theory, and lies below all curves.
    x, y = data(ax.lines[-1])
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(-0.5)
    assert y[0] < 100.0**-0.75
    assert y[1] < 10_000.0**-0.75


def test_transitions_of_the_follower_count() -> None:
    ax = FIGURES["total_samples"]().axes[0]
    looks = {(data(line)[1][0], line.get_linestyle(), data(line)[0]) for line in ax.lines}
    solved, learned = tuple(STEPS), tuple(11 * STEPS)
    assert looks == {
        (0.9, "-", solved), (0.8, "-", solved), (0.85, "-", solved), (0.5, "-", solved),
        (0.6, "--", learned), (0.4, "--", learned),
    }  # fmt: skip
    colours = {data(line)[1][0]: line.get_color() for line in ax.lines}
    assert colours[0.9] == colours[0.6] != colours[0.8] == colours[0.4] != colours[0.5]


@pytest.mark.parametrize("name", ["follower_accuracy", "total_samples", "information_errors"])
def test_legends_list_what_is_drawn_and_nothing_else(name: str) -> None:
    figure = FIGURES[name]()
    (legend,) = figure.legends
    labels = " ".join(text.get_text() for text in legend.get_texts())
    colours = {to_hex(str(line.get_color())) for ax in figure.axes for line in ax.lines}
    for label, colour, _ in decentralised.LEVELS.values():
        assert (label in labels) == (to_hex(colour) in colours)
    assert "SAC" not in labels
    assert (
        ("Q-learning" in labels) == ("truncated solver" in labels) == (name == "follower_accuracy")
    )
