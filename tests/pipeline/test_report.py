"""`make report` on a small synthetic project, as a clone without large outputs has it."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import read_params
from pipeline import report
from tests.pipeline.made_up import ROOT

#: What the script reads of a project besides its results.
_FILES = ("params.yaml", "pyproject.toml", "requirements.lock", "requirements-torch.txt")


@pytest.fixture(scope="module")
def project(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluated, one figure, a run that failed, and no Git."""
    root = tmp_path_factory.mktemp("reported")
    shutil.copytree(evaluated / "results", root / "results")
    for name in _FILES:
        shutil.copy2(ROOT / name, root)
    failed = pd.read_csv(root / "results" / "failed_runs.csv")
    failed.loc[0] = ["four_rooms", "naive", "published", "temperature=0.003", 7, "J is <NaN>"]
    failed.to_csv(root / "results" / "failed_runs.csv", index=False)
    shown = root / "figures" / "png" / "four_rooms"
    shown.mkdir(parents=True)
    shutil.copy2(ROOT / "figures" / "png" / "four_rooms" / "final_return.png", shown)
    report.main(root)
    return root


@pytest.fixture
def page(project: Path) -> str:
    return (project / "report" / "bilevelrl-report.html").read_text(encoding="utf-8")


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    targets = re.findall(r"""(?:src|href|url|action|data)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    assert {target[0] for target in targets if not target.startswith("data:image/")} == {"#"}
    assert "//" not in re.sub(r'src="data:image/[^"]+"', "", page)
    assert "@import" not in page
    assert "<script" not in page


def test_every_problem_and_every_failure_is_named(page: str) -> None:
    params = read_params(ROOT / "params.yaml")
    for problem in params.grid_problems:
        assert f'<section id="problem-{problem}">' in page
        assert f"<code>{problem}</code>" in page
    assert "0.375 ± 0.131" in page
    assert "J is &lt;NaN&gt;" in page
    assert page.count("results/summary.csv has no rows of it.") == len(params.grid_problems) - 1
    assert 'src="data:image/' in page


def test_what_nobody_knows_is_said(page: str) -> None:
    assert 'class="verdict unknown"' in page
    assert "No Git repository" in page
    assert "There are no PDF figures" in page
    assert "<code>make repro</code> draws them" in page


def test_tables_lie_beside_it(project: Path) -> None:
    tables = project / "report" / "tables"
    assert {"all.tex", "overview.tex", "four_rooms-gradients.tex"} <= {
        path.name for path in tables.iterdir()
    }
    shown = re.findall(r"\\shown\{([\w-]+)\}", (tables / "all.tex").read_text())
    assert {f"{name}.tex" for name in shown} == {path.name for path in tables.iterdir()} - {
        "all.tex"
    }


def test_rendering_twice_gives_the_same_bytes_and_old_files_go(project: Path, page: str) -> None:
    old = project / "report" / "tables" / "old.tex"
    old.write_text("")
    drawn = project / "figures" / "pdf" / "four_rooms" / "a.pdf"
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"%PDF")
    report.main(project)
    copied = project / "report" / "figures" / "four_rooms-a.pdf"
    assert copied.read_bytes() == b"%PDF"
    assert not old.exists()
    shutil.rmtree(project / "figures" / "pdf")
    report.main(project)
    assert not copied.exists()
    assert (project / "report" / "bilevelrl-report.html").read_text(encoding="utf-8") == page


def test_a_profile_has_a_page_of_its_own(project: Path) -> None:
    own = project / ".work" / "profiles" / "tiny"
    shutil.copytree(project / "results", own / "results")
    shutil.copy2(ROOT / "params.yaml", own)
    report.main(project, "tiny")
    page = project / "report" / "profiles" / "tiny" / "bilevelrl-report-tiny.html"
    assert "results of profile tiny" in page.read_text(encoding="utf-8")
    assert "<code>make repro PROFILE=tiny</code>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("", r"results/summary\.csv is missing: run `make repro` first"),
        ("tiny", r"profiles/tiny/results/summary\.csv is missing: run `make repro PROFILE=tiny`"),
    ],
)
def test_without_results_one_line_says_what_to_run(
    tmp_path: Path, profile: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        report.main(tmp_path, profile)
    assert not (tmp_path / "report").exists()
