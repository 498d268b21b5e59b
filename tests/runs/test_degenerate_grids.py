"""The smallest grids: one seed, one update and one row of every problem's curve."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.entries import overlay
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.leaders import train_cell
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.yaml_files import read_mapping

ROOT = Path(__file__).parents[2]
PROBLEMS = tuple(read_mapping(ROOT / "params.yaml")["problems"])
#: Small where one update would take seconds.
SMALL: dict[str, dict[str, Any]] = {
    "training": {
        "env_steps_per_update": 600, "evaluation_episodes": 4,
        "follower": {"first_steps": 160, "steps": 80},
    },
    "learner": {"learning_starts": 80, "net_arch": [16, 16]},
}  # fmt: skip


@pytest.mark.parametrize("problem", PROBLEMS)
def test_one_seed_and_one_update_make_a_curve_of_one_row(tmp_path: Path, problem: str) -> None:
    content = read_mapping(ROOT / "params.yaml")
    content["runtime"]["jobs"] = 1000  # no process but this one for a single task
    own = content["problems"][problem]
    own["seeds"]["num_seeds"] = 1
    for name, small in SMALL.items():
        if own[name] is None:
            continue
        known = {key: value for key, value in small.items() if key in own[name]}
        own[name] = overlay(own[name], known)
    own["training"] |= {"num_updates": 1, "max_rows": 1}
    estimators = own["cells"]
    name, entry = next(iter(estimators["bc_hg"].items()))
    estimators["bc_hg"] = {
        name: {
            key: value for key, value in entry.items() if key not in ("num_updates", "num_seeds")
        }
    }
    params = parse_params(content, "params.yaml")
    cell = train_cell(params, problem, "bc_hg", ResultCache(tmp_path))
    assert [run.failure for run in cell.runs] == [""]
    assert list(cell.curves["update"]) == [0]
    assert np.isfinite(cell.curves["leader_return_mean"]).all()
    assert np.isfinite(cell.theta).all()
