"""The check of the documents fails for everything that it promises to find."""

from pathlib import Path

import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.reporting.sources import ReportError
from pipeline.docs import main, problems, write


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_nothing_is_wrong_with_the_made_up_project(project: Path) -> None:
    assert list(problems(project)) == []
    assert write(project) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("README.md", ">1.25<!", ">1.26<!", "README.md:3: toy.mean is '1.26', "),
        ("README.md", "0.00 |", "0.01 |", "README.md:12: "),
        ("README.md", "| Naive-PGD | 0.00 |\n", "", "README.md:12: "),
        ("README.md", "step 0.5", "step 0.5 and J of 1.3", "1.3 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5, 3 of 10 seeds", "3 of 10 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5 and `0.93`", "0.93 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5 in all 5 seeds", "5 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5, by a factor of 6,", "6 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5 and 12 seeds", "12 stands outside markers"),
        ("README.md", "step 0.5", "step 0.5, a gain of 5 %", "5 % stands outside markers"),
        ("README.md", "step 0.5", "step 0.5, noise of 3·10⁵", "3·10⁵ stands outside markers"),
        ("README.md", "step 0.5", "step", "no document has the constant readme/0.5"),
        ("params.yaml", "5e-1", "0.6", "params.yaml says 0.6 under toy.step_size"),
        ("README.md", "#toy", "#toys", "README.md: nothing at #toys"),
        ("README.md", "figure.png", "lost.png", "README.md: nothing at lost.png"),
        ("README.md", "BC-HG reaches <", "BC-HG reaches\n<", "a line that begins with a marker"),
        ("README.md", "See", "<!-- claim: toy.better -->", "a line that begins with a marker"),
        ("README.md", " <!-- claim: toy.better -->", "", "no document uses toy.better"),
        ("results/summary.csv", "mean,1.25", "mean,0.25", "README.md:3"),
        ("docs/readme.yaml", "> 1)", "> 2)", "contradict toy.better (BC-HG ends above Naive-PGD)"),
    ],
)  # fmt: skip
def test_each_fault_is_found(project: Path, name: str, old: str, new: str, said: str) -> None:
    edit(project / name, old, new)
    assert any(said in line for line in problems(project))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("README.md", "<!--=toy.mean-->", "<!--=toy.meen-->", "no number is called 'toy.meen'"),
        ("README.md", "table: toy.final", "table: toy.last", "no table is called 'toy.last'"),
        ("README.md", "claim: toy.better", "claim: toy.worse", "no claim is called 'toy.worse'"),
        ("README.md", "toy.num_updates", "toy.updates", "params.yaml has no toy.updates"),
        ("README.md", "<!-- end -->", "", "<!-- table: toy.final --> is not closed"),
        ("README.md", "1.25<!--/-->", "1.25", "is not closed"),
        ("docs/readme.yaml", "'bc_hg'\", show", "'bc'\", show", "toy.mean: summary has no row"),
        ("docs/readme.yaml", "of: sum, ", "", "toy.both: 2 rows where one is meant"),
        ("docs/readme.yaml", "_mean:.2f}\"}", "_men:.2f}\"}", "leader_return_men"),
        ("docs/readme.yaml", "says: BC-HG", "sayz: BC-HG", "claims.toy.better.says is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_says_why(
    project: Path, name: str, old: str, new: str, said: str
) -> None:
    edit(project / name, old, new)
    with pytest.raises((ReportError, ConfigError)) as caught:
        list(problems(project))
    assert said in str(caught.value)


def test_new_results_change_the_numbers_and_nothing_else(project: Path) -> None:
    before = (project / "README.md").read_text()
    edit(project / "results" / "summary.csv", "leader_return_mean,1.25", "leader_return_mean,1.75")
    assert write(project) == [project / "README.md"]
    after = (project / "README.md").read_text()
    assert after == (
        before.replace("1.25", "1.75").replace("0.625", "0.875").replace("1.2 in", "1.7 in")
    )
    assert list(problems(project)) == []


def test_the_command_line_exits_with_the_first_difference(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--check"], project)
    edit(project / "README.md", ">1.25<!", ">1.26<!")
    with pytest.raises(SystemExit) as caught:
        main(["--check"], project)
    assert str(caught.value).startswith("error: README.md:3: toy.mean")
    main([], project)
    assert "README.md: rewritten" in capsys.readouterr().out
    main(["--check"], project)


def test_the_table_of_what_reruns_is_not_of_the_results(project: Path) -> None:
    with (project / "README.md").open("a") as file:
        file.write("\n<!-- reruns -->\n\n| `a.b: 0.1` |\n| --- |\n| 3.7 |\n\n<!-- end -->\n")
    assert list(problems(project)) == []
