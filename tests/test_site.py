"""The site shows what the pages hold, and no link, anchor or formula of theirs may be wrong."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = r"""# Start

BC-HG reaches <!--=toy.mean-->1.25<!--/--> with $\gamma = \tfrac12$. <!-- claim: toy.better -->

$$J = \mathbb{E}\left[\sum_k \gamma^k r_k\right]$$

<!-- table: toy.final -->

| estimator | J |
| --- | --- |
| BC-HG | 1.25 |

<!-- end -->

See [the documents](../CONTRIBUTING.md#documents), [more](#more), [numbers](../results/numbers.csv)
and [where they come from](../results/README.md).

![figure](../figures/one.png)

## More

```{toctree}
contributing
```
"""
FAULTS = {
    "[a page](lost.md)": "lost.md",
    "[an anchor](#lost)": "'lost'",
    "[an anchor elsewhere](../CONTRIBUTING.md#lost)": "lost",
    "[a file](../results/lost.csv)": "lost.csv",
    "[Markdown that is no page](../results/lost.md)": "lost.md",
    "![figure](../figures/lost.png)": "lost.png",
    r"$\nosuchcommand$": "nosuchcommand",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A made-up project with the configuration of docs/."""
    for name in ("docs", "results", "figures"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "docs" / "conf.py", tmp_path / "docs")
    shutil.copytree(ROOT / "docs" / "static", tmp_path / "docs" / "static")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'made-up'\nversion = '1'\n")
    (tmp_path / "CONTRIBUTING.md").write_text("# Contributing\n\n## Documents\n")
    (tmp_path / "docs" / "contributing.md").write_text(
        "```{include} ../CONTRIBUTING.md\n:relative-docs: docs/\n```\n"
    )
    (tmp_path / "results" / "numbers.csv").write_text("a\n1\n")
    (tmp_path / "results" / "README.md").write_text("# Numbers\n")
    shutil.copy(ROOT / "examples" / "reward_design.png", tmp_path / "figures" / "one.png")
    (tmp_path / "docs" / "index.md").write_text(PAGE)
    return tmp_path


def build(project: Path) -> subprocess.CompletedProcess[str]:
    options = ["-b", "html", "-E", "-W", "--keep-going", "-q", "--no-color"]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "docs", "site"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def shown(project: Path) -> str:
    html = (project / "site" / "index.html").read_text(encoding="utf-8")
    return re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)


def test_a_page_shows_its_numbers_formulas_and_files(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stderr
    page = shown(project)
    assert "BC-HG reaches 1.25 with" in page
    assert "toy." not in page
    assert page.count("<math") == 2
    assert re.search(r"<mfrac[^>]*>\s*<mn>1</mn>\s*<mn>2</mn>\s*</mfrac>", page)
    assert 'href="contributing.html#documents"' in page
    copies = re.findall(r'href="(_downloads/[^"]*)"', page)
    assert [Path(copy).name for copy in copies] == ["numbers.csv", "README.md"]
    for copy in copies:
        assert (project / "site" / copy).exists()
    assert (project / "site" / "_images" / "one.png").exists()


def test_files_are_those_of_the_repository_where_it_has_an_address(project: Path) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write("urls = {Repository = 'https://example.org/made-up'}\n")
    assert build(project).returncode == 0
    for name in ("numbers.csv", "README.md"):
        assert f'href="https://example.org/made-up/blob/HEAD/results/{name}"' in shown(project)


def test_every_fault_is_an_error(project: Path) -> None:
    with (project / "docs" / "index.md").open("a") as file:
        file.write("\n\n".join(["", *FAULTS, ""]))
    done = build(project)
    assert done.returncode != 0
    lines = (project / "docs" / "index.md").read_text().splitlines()
    for fault, said in FAULTS.items():
        place = f"index.md:{lines.index(fault) + 1}: "
        reported = [line for line in done.stderr.splitlines() if place in line]
        assert any(said in line for line in reported), (fault, done.stderr)
