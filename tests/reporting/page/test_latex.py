"""LaTeX beside the page."""

import re
from pathlib import Path

from bilevelrl.reporting.page.content import table
from bilevelrl.reporting.page.latex import as_latex, write_tables

ROWS = [{"θ": "f(1|A) = 50 %", "J": "1.0 ± 0.5"}, {"θ": "a_b", "J": "−2·10⁻⁵"}]
TABLE = table("A caption", ROWS, name="toy")


def test_signs_that_latex_does_not_know_become_commands() -> None:
    text = as_latex(TABLE)
    assert text.isascii()
    assert r"$\theta$ & J \\" in text
    assert r"f(1\textbar{}A) = 50 \% & 1.0 $\pm$ 0.5 \\" in text
    assert r"a\_b & $-$2$\cdot$10$^{-}$$^{5}$ \\" in text


def test_all_tables_are_files_of_one_document(tmp_path: Path) -> None:
    drawn = tmp_path / "results" / "tables" / "toy"
    drawn.mkdir(parents=True)
    (drawn / "results.tex").write_text("\\begin{tabular}{l}\n\\end{tabular}\n")
    (drawn / "studies.tex").write_text("Not in this grid.\n")
    unnamed = table("No name", [{"a": "1"}])
    files = write_tables(tmp_path / "out", [TABLE, unnamed], drawn.parent)
    assert [path.name for path in files] == ["toy.tex", "toy-results.tex", "all.tex"]
    text = files[-1].read_text()
    assert re.findall(r"\\shown\{([\w-]+)\}", text) == ["toy", "toy-results"]
    assert "booktabs" in text


def test_nothing_to_show_is_no_document(tmp_path: Path) -> None:
    assert write_tables(tmp_path / "out", [], tmp_path) == []
