"""What knowing the model saves, on the page."""

from pathlib import Path

from bilevelrl.reporting.page.assemble import Drawn, sections
from bilevelrl.reporting.page.content import EMPTY, Section, Table
from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.results import read_results
from tests.reporting.page.conftest import write_results

HEAD = (
    "problem,leader,estimator,variant,information,temperature,return,case,setting,budget,seeds,"
    "best_known,leader_return_mean,env_steps_to_95_percent,arrived_at_95_percent\n"
)
ROWS = (
    "toy,published,bc_hg,published,full,0.1,,,x=1,100,5,2,-1.5,,2\n"
    "toy,identified,bc_hg,improved,rewards,0.1,,,x=2,1000,5,2,1.9375,12000,4\n"
    "toy,exact,exact,published,full,0.1,,,x=3,0,5,2,1,0,5\n"
)


def told(folder: Path, facts: Facts, text: str, kind: str | None = None) -> list[Table]:
    """Tables of the section on all problems, if there is one."""
    write_results(folder / "results")
    (folder / "results" / "model_knowledge.csv").write_text(text)
    results = read_results(folder / "results", {"toy": kind})
    drawn = Drawn(folder / "figures", folder)
    found = sections(facts, results, drawn, Section("origin", "Origin"))
    return [table for each in found if each.anchor == "comparison" for table in each.tables]


def test_a_row_says_who_got_there_and_how_many(tmp_path: Path, facts: Facts) -> None:
    (table,) = told(tmp_path, facts, HEAD + ROWS)
    assert table.head == (
        "problem", "leader", "sees", "transitions per update", "best known J", "mean J", "to 95 %",
    )  # fmt: skip
    assert table.rows == (
        ("Toy", "BC-HG", "full", "100", "2.000", "−1.500", f"{EMPTY} (2 of 5)"),
        ("Toy", "BC-HG, improved, identified model", "rewards", "1,000", "2.000", "1.938",
         "12,000 (4 of 5)"),
        ("Toy", "Exact", "full", EMPTY, "2.000", "1.000", "0 (5 of 5)"),
    )  # fmt: skip


def test_cases_are_told_where_there_are_several(tmp_path: Path, facts: Facts) -> None:
    small, large = (ROWS.replace(",,,x", f",,size={n};depth=1,x") for n in (2, 3))
    (table,) = told(tmp_path, facts, HEAD + small + large)
    assert table.head[1] == "case"
    assert [row[1] for row in table.rows] == ["size=2, depth=1"] * 3 + ["size=3, depth=1"] * 3


def test_temperatures_are_told_where_there_are_several(tmp_path: Path, facts: Facts) -> None:
    (table,) = told(tmp_path, facts, HEAD + ROWS + ROWS.replace("0.1,", "0.01,"))
    assert table.head[1] == "temperature"
    assert {row[1] for row in table.rows} == {"0.1", "0.01"}


def test_only_the_return_that_is_reported_is_shown(tmp_path: Path, facts: Facts) -> None:
    kinds = [ROWS.replace("0.1,,", f"0.1,{kind},") for kind in ("discounted", "undiscounted")]
    text = HEAD + kinds[0] + kinds[1].replace("12000", "700")
    (table,) = told(tmp_path, facts, text, "undiscounted")
    assert [row[-1] for row in table.rows] == [f"{EMPTY} (2 of 5)", "700 (4 of 5)", "0 (5 of 5)"]


def test_nothing_is_told_where_nobody_knows_the_best(tmp_path: Path, facts: Facts) -> None:
    assert told(tmp_path, facts, HEAD) == []
