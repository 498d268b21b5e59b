"""The example of docs/library.md climbs to the optimum that autograd finds."""

from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_page_s_example_finds_the_best_payments(seed: int) -> None:
    torch.manual_seed(seed)
    names: dict[str, Any] = {}
    exec(PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0], names)
    worth, beta = names["worth"], names["agents"].temperature

    def leader_return(theta: torch.Tensor) -> torch.Tensor:
        paid = torch.sigmoid(theta)
        return (torch.softmax(paid / beta, dim=0) * (worth - paid)).sum()

    best = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([best], lr=0.05, maximize=True)
    for _ in range(300):
        optimizer.zero_grad()
        leader_return(best).backward()
        optimizer.step()
    found, start = (leader_return(theta).item() for theta in (names["theta"], torch.zeros(3)))
    reached = leader_return(best).item()
    assert found - start > 0.95 * (reached - start) > 0.2
