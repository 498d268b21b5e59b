"""The examples of README.md and docs/ run as they stand, and do what the pages say."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(page: Path, seed: int) -> dict[str, Any]:
    """What all examples of a page leave behind, one after the other."""
    torch.manual_seed(seed)
    names: dict[str, Any] = {}
    for code in FENCE.findall(page.read_text(encoding="utf-8")):
        exec(code, names)
    return names


def leader_return(names: dict[str, Any], theta: torch.Tensor) -> torch.Tensor:
    """J of the example's leader, which pays sigmoid(θ) for every action of a soft follower."""
    paid = torch.sigmoid(theta)
    policy = torch.softmax(paid / names["agents"].temperature, dim=0)
    return (policy * (names["worth"] - paid)).sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_library_page_s_example_finds_the_best_payments(seed: int) -> None:
    names = run(ROOT / "docs" / "library.md", seed)
    best = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([best], lr=0.05, maximize=True)
    for _ in range(300):
        optimizer.zero_grad()
        leader_return(names, best).backward()
        optimizer.step()
    found, start, reached = (
        leader_return(names, theta).item() for theta in (names["theta"], torch.zeros(3), best)
    )
    assert found - start > 0.95 * (reached - start) > 0.2


@pytest.mark.parametrize("seed", [0, 1])
def test_the_readme_s_example_estimates_the_gradient_through_the_follower(seed: int) -> None:
    names = run(ROOT / "README.md", seed)
    theta = torch.zeros(3, requires_grad=True)
    (exact,) = torch.autograd.grad(leader_return(names, theta), theta)
    error = torch.linalg.norm(names["theta"].grad - exact) / torch.linalg.norm(exact)
    assert error < 0.1
    direct = -torch.softmax(torch.zeros(3), dim=0) / 4.0  # of Naive-PGD
    assert torch.linalg.norm(direct - exact) / torch.linalg.norm(exact) > 0.5


def test_the_readme_s_example_is_a_dozen_lines() -> None:
    (code,) = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 12


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in ("README.md", "library.md")],
    ids=lambda page: page.stem,
)
def test_every_other_example_runs(page: Path) -> None:
    run(page, 0)
