"""Which settings the page compares at a glance, and what stands in a row."""

from dataclasses import replace

from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.returns import MEAN, Line, glance, of_problem


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


def test_leaders_that_identify_have_a_row_of_their_own_against_the_same_follower(
    lines: tuple[Line, ...], facts: Facts
) -> None:
    first = next(line for line in lines if line.estimator == "bc_hg" and line.study == "main")
    cells = {**first.cells, MEAN: "1.900 ± 0.100"}
    found = replace(first, study="identified", budget=40, cells=cells)
    larger = replace(found, budget=80, cells={**cells, MEAN: "1.950 ± 0.100"})
    learning = replace(found, follower="soft_q", budget=5, cells={**cells, MEAN: "0.100 ± 0.100"})
    rows = dict(glance([*lines, larger, learning, found], facts.problems).rows)
    assert rows.pop("BC-HG, identified") == "1.900 ± 0.100"
    assert rows == dict(glance(lines, facts.problems).rows)


def test_no_row_is_no_table(facts: Facts) -> None:
    assert glance((), facts.problems).head == ("",)
    assert of_problem((), "toy") == []


def test_the_first_case_is_shown_at_a_glance_and_all_of_them_in_rows(
    lines: tuple[Line, ...], facts: Facts
) -> None:
    small = [replace(line, case="size=2") for line in lines]
    large = [replace(line, case="size=3", best_known=9.0, budget=2 * line.budget) for line in lines]
    cells = {line.estimator: {**line.cells, MEAN: "9.000 ± 0.125"} for line in large}
    large = [replace(line, cells=cells[line.estimator]) for line in large]
    assert glance([*large, *small], facts.problems).rows == glance(lines, facts.problems).rows
    main, _ = of_problem([*small, *large], "toy")
    cases = [row[main.head.index("case")] for row in main.rows]
    assert cases == ["size=2"] * 5 + ["size=3"] * 5
    assert "case" not in of_problem(lines, "toy")[0].head


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
