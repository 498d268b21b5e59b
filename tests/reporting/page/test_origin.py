"""Commits, packages and machine."""

import subprocess
from pathlib import Path

from bilevelrl.reporting.page import machine, origin
from bilevelrl.reporting.page.repository import changed_files, last_commit


def commit(root: Path, message: str) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *name, "commit", "--quiet", "-m", message], cwd=root, check=True)


def test_the_page_says_of_which_commit_it_is_and_what_differs(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "results").mkdir()
    table = tmp_path / "results" / "table α.csv"
    table.write_text("1\n")
    commit(tmp_path, "the results")
    (tmp_path / "code.py").write_text("")
    commit(tmp_path, "code")
    rendered, computed = origin.commits(tmp_path, "")
    assert "“code”; nothing differs" in rendered
    assert "“the results”" in computed
    table.write_text("2\n")
    (tmp_path / "new").write_text("")
    rendered, _, altered = origin.commits(tmp_path, "")
    assert "2 files differ" in rendered
    assert "1 files are not as committed: results/table α.csv" in altered
    assert changed_files(tmp_path) == ["new", "results/table α.csv"]
    assert "profile smoke" in list(origin.commits(tmp_path, "smoke"))[1]


def test_without_git_the_page_says_so(tmp_path: Path) -> None:
    assert last_commit(tmp_path) is None
    assert list(origin.commits(tmp_path, "")) == [
        "No Git repository: nobody knows of which commit this is."
    ]


def test_packages_are_those_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'own'\ndependencies = ['numpy>=2']\n[project.optional-dependencies]\n"
        "torch = ['torch']\npipeline = ['own[torch]', 'ruamel.yaml[x]>=1', 'no-such-thing>=1']\n"
    )
    pinned = {"numpy": "1.0", "ruamel-yaml": "2.0"}
    rows = {row[0]: row[1:] for row in machine.packages(tmp_path / "pyproject.toml", pinned).rows}
    assert list(rows) == ["no-such-thing", "numpy", "ruamel.yaml", "torch"]
    assert rows["no-such-thing"] == ("–", "not installed")
    assert rows["numpy"][0] == "1.0"
    assert rows["ruamel.yaml"][0] == "2.0"


def test_the_machine_is_that_of_whoever_renders() -> None:
    table = machine.machine()
    assert table.head[1] == "rendered on"
    assert dict(table.rows)["Python"].startswith("CPython 3.")
    assert all(text for _, text in table.rows)
