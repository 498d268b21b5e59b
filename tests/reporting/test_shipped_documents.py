"""README.md and docs/ as they are committed say what the committed results say."""

import re
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from bilevelrl.problems import registry
from bilevelrl.runs.yaml_files import read_mapping
from pipeline.docs import problems

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_documents_say_what_the_results_say() -> None:
    assert list(problems(ROOT)) == []


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert len(text.encode()) < 12_000


def test_equations_live_where_the_documents_say() -> None:
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8").partition("| what |")[2]
    named = re.findall(r"`((?:[a-z_]+/)*[\w{},/]+?(?:\.py|/))`", text)
    assert len(named) > 30
    for name in named:
        for path in expanded(name):
            assert (ROOT / "src" / "bilevelrl" / path).exists(), path


def test_every_estimator_and_every_problem_has_a_page() -> None:
    docs = ROOT / "docs"
    of_estimators = [docs / "estimators.md", *(docs / "estimators").glob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in of_estimators)
    blocks = read_mapping(ROOT / "params.yaml")["problems"]
    estimators = {estimator for block in blocks.values() for estimator in block["cells"]}
    assert [name for name in sorted(estimators) if f"`{name}`" not in text] == []
    overview = (docs / "problems.md").read_text(encoding="utf-8")
    for kind in registry.KINDS:
        assert f"](results/{kind}.md)" in overview
        page = (docs / "results" / f"{kind}.md").read_text(encoding="utf-8")
        (name,) = re.findall(r"[`]bilevelrl/\w+-v0`\]\(../../src/bilevelrl/problems/(\w+)/", page)
        assert name == kind
        for problem in blocks:
            if blocks[problem].get("kind", problem) == kind:
                assert f"`{problem}`" in page or problem == kind


def expanded(name: str) -> list[str]:
    """{a,b}/c as a shell has it, nested braces not."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    if "{" not in name:
        return [name]
    return ["".join(chosen) for chosen in product(*parts)]


@pytest.mark.parametrize("profile", ["paper", "identified", "more_seeds"])
def test_every_table_of_a_profile_says_which_commit_it_is_from(profile: str) -> None:
    folder = ROOT / "results" / profile
    listed = re.findall(
        r"^\| `([\w.]+)` \| `[0-9a-f]{7,}` \| `[0-9a-f]{7,}` \| `([0-9a-f]{12})` \|$",
        (folder / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    # Another content is from another commit: then its line must change too.
    assert dict(listed) == {
        path.name: sha256(path.read_bytes()).hexdigest()[:12]
        for path in folder.iterdir()
        if path.name != "README.md"
    }


def test_the_table_of_what_reruns_is_one_change_a_row() -> None:
    text = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    table = text.partition("<!-- reruns -->\n")[2].partition("<!-- end -->")[0]
    rows = table.strip().splitlines()[2:]
    assert len(rows) > 5
    form = r"\| (?:nothing|`[\w.]+: [^`|]+`) \| (nothing|`[^`]+`(, `[^`]+`)*) \|"
    for row in rows:
        assert re.fullmatch(form, row), row
