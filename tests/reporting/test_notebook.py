"""What the notebooks show of results, and what they say where there are none."""

from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.reporting.notebook import Results

ROOT = Path(__file__).parents[2]
HEAD = (
    "problem,variant,setting,ours,theirs,mean_difference,mean_difference_low,mean_difference_high"
)


def small(folder: Path) -> Results:
    """A game with three differences: above, below, and neither."""
    (folder / "results").mkdir()
    (folder / "dvc.yaml").touch()
    (folder / "params.yaml").write_text("problems: {game: {cells: {bc_hg: {}, naive: {}}}}\n")
    (folder / "results" / "improvement.csv").write_text(
        f"{HEAD}\ngame,published,s,bc_hg,naive,2,1,3\ngame,published,s,bc_hg,exact,-2,-3,-1\n"
        "game,published,s,bc_hg,random,1,-1,3\nother,published,s,bc_hg,naive,9,8,10\n"
        "game,published,s,bc_hg,zero_order,1,,\n"
    )
    (folder / "results" / "conditions.csv").write_text(
        "problem,estimator,variant,setting,study,roles\ngame,bc_hg,published,s,main,\n"
        "other,bc_hg,published,s,main,\n"
    )
    return Results("game", folder)


def test_says_of_a_difference_what_its_interval_says(tmp_path: Path) -> None:
    rows = (small(tmp_path).differences().text or "").splitlines()[2:]
    assert [row.split(" | ")[-1] for row in rows] == [
        "ends above |", "ends below |", "not told apart |", "no interval |",
    ]  # fmt: skip
    assert "2.000 [1.000, 3.000]" in rows[0]


def test_says_what_is_missing(tmp_path: Path) -> None:
    results = small(tmp_path)
    assert "Without results: BC-HG, Naive-PGD." in results._repr_markdown_()
    for shown in (
        results.figure("f"),
        results.table("t"),
        results.gradients(),
        results.metric("m"),
    ):
        assert "Not in this grid" in (shown.text or "")
        assert shown.png is None


def test_finds_the_project_from_a_folder_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(tmp_path)
    monkeypatch.chdir(tmp_path / "results")
    assert Results.of("game").root == tmp_path
    assert Results.of("game", ".work/profiles/quick").root == tmp_path / ".work/profiles/quick"
    monkeypatch.chdir("/")
    with pytest.raises(FileNotFoundError, match=r"dvc\.yaml"):
        Results.of("game")


def test_gradients_are_in_units_of_the_hypergradient() -> None:
    results = Results("bilevel_lqr", ROOT)
    table = pd.read_csv(ROOT / "results" / "gradients.csv")
    rows = table[table["problem"] == "bilevel_lqr"]
    point, budget = rows["point"].iloc[0], rows["env_steps_per_update"].min()
    own = rows[(rows["point"] == point) & (rows["env_steps_per_update"] == budget)]
    shown = results.gradients(point, int(budget)).text or ""
    assert point in shown
    assert len(shown.splitlines()) == len(own) + 4
    assert results.gradients("nowhere").text == results.gradients(rows["point"].iloc[-1]).text
