"""A small cell, and ways in which a file of it may be damaged."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.runs.records import COORDINATE_COLUMNS, CURVE_COLUMNS, Cell, RunIdentity


def curves(num_rows: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for name, kind in CURVE_COLUMNS.items():
        if kind == "string":
            content[name] = [f"{name} β"] * num_rows
        elif kind == "int64":
            content[name] = generator.integers(100, size=num_rows)
        else:
            content[name] = generator.standard_normal(num_rows)
    content["leader_return_sampled"] = np.nan  # as model-based estimators leave it
    return pd.DataFrame(content).astype(CURVE_COLUMNS)


def make_cell() -> Cell:
    runs = tuple(
        RunIdentity(
            "four_rooms",
            "bc_hg",
            "published",
            "env_steps_per_update=100;temperature=0.003",
            seed,
            f"key{seed}",
            {"temperature": 0.003, "num_envs": 2, "start": "carry"},
        )
        for seed in range(3)
    )
    theta = np.random.default_rng(1).standard_normal((3, 5))
    places = pd.DataFrame(
        [("p", "e", "v", "s", 0, update, "K1", 0.1 * update) for update in range(3)],
        columns=list(COORDINATE_COLUMNS),
    )
    return Cell(runs, theta, curves(), places.astype(COORDINATE_COLUMNS))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_text("somebody else's notes\n")


DAMAGES = (Path.unlink, truncate, cut_to_nothing, replace_by_text)
