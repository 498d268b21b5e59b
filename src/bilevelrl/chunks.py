"""What one worker computes: runs that train together, from settings to arrays.

Everything here and below can change a result, and is therefore part of every run's key.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.cells import ESTIMATORS, make_group, per_run
from bilevelrl.config import FollowerParams, FourRoomsParams, LeaderParams, Setting
from bilevelrl.seeding import Streams
from bilevelrl.training import train


@dataclass(frozen=True)
class Run:
    """One run of a cell: its setting, its seed, and the key under which its result is cached."""

    setting: Setting
    seed: int
    key: str


@dataclass(frozen=True)
class Chunk:
    """Runs with equal `group_key`, and all that a worker needs to train them."""

    estimator: str
    runs: tuple[Run, ...]
    constants: FourRoomsParams
    followers: FollowerParams
    leaders: LeaderParams


def train_chunk(chunk: Chunk) -> list[dict[str, NDArray[np.float64]]]:
    """Train the runs of a chunk together; one dictionary of arrays per run."""
    settings = [run.setting for run in chunk.runs]
    group = make_group(settings, chunk.constants, chunk.followers)
    trained = train(
        group.game,
        ESTIMATORS[chunk.estimator](group),
        Streams([run.seed for run in chunk.runs]),
        step_size=per_run(settings, "step_size"),
        num_updates=settings[0].num_updates,
        max_gradient_norm=chunk.leaders.max_gradient_norm,
        max_rows=chunk.leaders.max_rows,
    )
    return [
        {"theta": theta} | {name: values[r] for name, values in trained.curves.items()}
        for r, theta in enumerate(trained.theta)
    ]
