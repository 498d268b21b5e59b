"""Settings on the page: all of them, and what differs."""

import pytest

from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.settings import section, shown


def test_differences_between_variants_of_the_main_comparison(facts: Facts) -> None:
    (table,) = section(facts).tables
    cells = [dict(zip(table.head, row, strict=True)) for row in table.rows]
    told = [(c["hyper-parameter"], c["published"], c["corrected"]) for c in cells]
    assert told == [("step_size", "0.5", "0.25"), ("critic", "sarsa", "–")]


def test_every_setting_has_a_row_and_shared_values_stand_once(facts: Facts) -> None:
    toy, empty = section(facts).sections
    constants, estimator = toy.tables
    assert constants.rows == (("constants.discount", "0.99"),)
    assert "the same in all: num_envs = 2." in estimator.caption
    assert [row[0] for row in estimator.rows] == ["large", "mended", "spread"]
    assert "num_envs" not in estimator.head
    assert empty.tables == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (True, "yes"), (10000, "10000"), (1e-5, "1e-05"), ("sarsa", "sarsa"),
        ((1, 0.5), "[1, 0.5]"), ({"kind": "exact"}, "kind: exact"),
    ],
)  # fmt: skip
def test_values_look_as_in_the_file(value: object, text: str) -> None:
    assert shown(value) == text
