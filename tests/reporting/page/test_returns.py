"""Which settings the page compares at a glance, and what stands in a row."""

from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.returns import Line, glance, of_problem


def test_problems_are_compared_at_the_budget_that_most_estimators_have(
    lines: tuple[Line, ...], facts: Facts
) -> None:
    table = glance(lines, facts.problems)
    assert table.head == ("", "Toy")  # a problem without rows has no column
    assert dict(table.rows) == {
        "best known J": "2.000",
        "transitions per update": "20",
        "seeds": "4",
        "BC-HG": "1.750 ± 0.125",
        "BC-HG, corrected": "1.000 ± 0.125 (1.250)",
        "Naive-PGD": "−0.500 ± 0.125",
        "Exact": "2.000 ± 0.125",
    }
    assert [row[0] for row in table.rows][3:] == [
        "BC-HG", "BC-HG, corrected", "Naive-PGD", "Exact",
    ]  # fmt: skip


def test_no_row_is_no_table(facts: Facts) -> None:
    assert glance((), facts.problems).head == ("",)
    assert of_problem((), "toy") == []


def test_every_row_has_its_best_known_and_its_seeds(lines: tuple[Line, ...]) -> None:
    main, studies = of_problem(lines, "toy")
    assert len(main.rows) == 5
    row = dict(zip(main.head, main.rows[2], strict=True))
    assert row["estimator"] == "BC-HG, corrected"
    assert (row["best known J"], row["seeds"]) == ("1.250", "4")
    assert row["mean ± SE"] == "1.000 ± 0.125"
    assert row["worst seed"] == "0.000"
    (study,) = studies.rows
    assert dict(zip(studies.head, study, strict=True))["conditions"] == "initial_spread = 3.0"
    assert studies.folded
    assert not main.folded
