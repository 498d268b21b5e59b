"""Who names a problem: its own folder, and the registry."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilevelrl.problems import registry
from bilevelrl.runs.yaml_files import read_mapping

ROOT = Path(__file__).parents[1]
PROBLEMS = {*registry.KINDS, *read_mapping(ROOT / "params.yaml")["problems"]}
SHARED = [
    path
    for folder in ("pipeline", "src/bilevelrl")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "problems" not in {each.name for each in path.parent.parents} and path.name != "registry.py"
]


def code(path: Path) -> Iterator[str]:
    """Every name and every text of a file but for docstrings, which may give examples."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        for field in ("id", "attr", "name", "module", "arg"):
            text = getattr(node, field, None)
            if isinstance(text, str):
                yield text


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_outside_of_a_problem_names_one(path: Path) -> None:
    named = {text for text in code(path) for problem in PROBLEMS if problem in text}
    assert named == set()


def test_dvc_asks_params_which_problems_there_are() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert [problem for problem in PROBLEMS if problem in text] == []
