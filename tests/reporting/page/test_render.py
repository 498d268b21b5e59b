"""The page itself: a small one, and that texts cannot become markup."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from bilevelrl.reporting.page.assemble import Drawn, sections
from bilevelrl.reporting.page.content import Section, table
from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.origin import Verdict
from bilevelrl.reporting.page.render import rendered
from bilevelrl.reporting.page.results import OPTIONAL, Results, read_results
from bilevelrl.runs.table_files import CorruptRecord

CURRENT = Verdict("current", "As `dvc` says.", {})


class Balanced(HTMLParser):
    """Refuses tags that are not closed."""

    VOID = ("meta", "img", "br", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_minimal_folder_of_results_is_enough(
    facts: Facts, results: Results, tmp_path: Path
) -> None:
    origin = Section("origin", "Origin")
    found = sections(facts, results, Drawn(tmp_path / "figures", tmp_path), origin)
    page = rendered("A title", CURRENT, ["Told."], found)
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    assert not {"script", "link", "iframe"} & {*reader.seen}
    assert "Nothing yet" in page
    assert "results/summary.csv has no rows of it." in page
    for name in OPTIONAL:
        assert f"results/{name}.csv is missing" in page
    for section in found:
        assert page.count(f'href="#{section.anchor}"') == 2


def test_texts_are_no_markup() -> None:
    section = Section("a", "A", ("<b> `code`",), (table("A & B", [{"x": "<script>"}]),))
    page = rendered("T", CURRENT, [], [section])
    assert "<p>&lt;b&gt; <code>code</code></p>" in page
    assert "&lt;script&gt;" in page
    assert "A &amp; B" in page


def test_a_table_that_is_not_readable_is_named(results: Results, tmp_path: Path) -> None:
    (tmp_path / "results" / "gradients.csv").write_text("")
    with pytest.raises(CorruptRecord, match=r"gradients\.csv"):
        read_results(tmp_path / "results", {"toy": None})
    (tmp_path / "results" / "summary.csv").write_text("a,b\n")
    with pytest.raises(CorruptRecord, match=r"summary\.csv"):
        read_results(tmp_path / "results", {"toy": None})
