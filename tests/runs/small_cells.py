"""A small cell whose runs take no time."""

import copy
from pathlib import Path
from typing import Any

from bilevelrl.runs.leaders import list_runs
from bilevelrl.runs.params import Params, parse_params
from bilevelrl.runs.yaml_files import read_mapping

ROOT = Path(__file__).parents[2]


ENTRIES = {
    "published_100": {
        "variant": "published", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
        "step_size": 0.05, "critic": {"kind": "sarsa", "step_size": 0.5},
    },
    "published_200": {
        "variant": "published", "temperature": [0.001, 0.003], "env_steps_per_update": 200,
        "num_envs": 2, "step_size": 0.1, "critic": {"kind": "sarsa", "step_size": 0.5},
    },
    "truncated": {
        "variant": "published", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
        "step_size": 0.05, "critic": {"kind": "sarsa", "step_size": 0.5},
        "follower": {"kind": "truncated", "policy_iterations": 2, "start": ["carry", "reset"]},
    },
}  # fmt: skip


NUM_SETTINGS, NUM_SEEDS, NUM_UPDATES, NUM_ROWS = 5, 2, 6, 3


def make_params(**changes: Any) -> Params:
    """A small BC-HG cell; dotted keys (dots as double underscores) change params.yaml."""
    content = read_mapping(ROOT / "params.yaml")
    own = content["problems"]["four_rooms"]
    own["cells"]["bc_hg"] = copy.deepcopy(ENTRIES)
    own["search"]["temperatures"] = [0.001, 0.003]
    own["training"] |= {"num_updates": NUM_UPDATES, "max_rows": NUM_ROWS}
    own["seeds"]["num_seeds"] = NUM_SEEDS
    content["runtime"] |= {"jobs": 1, "threads": 1}
    for key, value in changes.items():
        *path, last = key.split("__")
        block = content
        for part in path:
            block = block[part]
        block[last] = value
    return parse_params(content, "params.yaml")


def keys(params: Params) -> list[str]:
    settings = params.settings("four_rooms", "bc_hg")
    return [run.key for run in list_runs(params, "four_rooms", "bc_hg", settings)]
