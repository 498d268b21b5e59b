"""What one worker computes: runs that train together, from settings to arrays.

Everything here and below can change a result, and is therefore part of every run's key. What only
one kind of problem uses is part of the keys of that kind alone: `problems.registry` finds it.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.cell import Cell, Context
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.provenance import code_digest
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.core.training import recorded_updates, train
from bilevelrl.problems import registry

Arrays = dict[str, NDArray[Any]]

#: Modules that only hold values, which a run's key has anyway.
VALUES = (
    "core.blocks", "core.families", "core.games", "core.problem", "core.settings",
    "core.validation", "models.deep.settings", "models.tabular.settings", "problems.registry",
)  # fmt: skip
#: Prefix of the coordinates in a run's arrays.
COORDINATE = "coordinate "
#: Why a run has no result, among its arrays; what it would have measured is left out.
FAILURE = "failure"


@dataclass(frozen=True)
class Run:
    """One run of a cell: its setting, its seed, and the key under which its result is cached."""

    setting: Setting
    seed: int
    key: str


@dataclass(frozen=True)
class Chunk:
    """Runs of a cell with equal `group_key`, and all that a worker needs to train them."""

    problem: str
    kind: str
    estimator: str
    runs: tuple[Run, ...]
    context: Context[Any, Any, Any]
    max_rows: int


def cell_of(kind: str) -> Cell:
    """The module that builds the runs of a kind of problem."""
    return cast(Cell, registry.part(kind, "cell"))


def cell_digest(kind: str) -> str:
    """Digest of all code that can change a run of a kind of problem."""
    modules = (registry.module_name(kind, part) for part in ("cell", "settings"))
    cell, settings = modules
    return code_digest("runs.chunks", cell, values=(*VALUES, settings))


def train_chunk(chunk: Chunk) -> list[Arrays]:
    """Train the runs of a chunk together; one dictionary of arrays per run.

    Where a follower diverges, its run gets a `FAILURE`, and the others are trained alone, which
    changes none of their bits.
    """
    try:
        return _train_together(chunk)
    except FollowerDiverged as error:
        if len(chunk.runs) == 1:
            return [_failed(chunk, str(error))]
        alone = (replace(chunk, runs=(run,)) for run in chunk.runs)
        return [train_chunk(one)[0] for one in alone]


def _failed(chunk: Chunk, message: str) -> Arrays:
    (run,) = chunk.runs
    built = cell_of(chunk.kind).build(chunk.estimator, [run.setting], chunk.context)
    theta, _ = built.game.start(Streams([run.seed]))
    closing = np.array(recorded_updates(run.setting.num_updates, chunk.max_rows), dtype=np.float64)
    steps = ("env_steps", "oracle_steps", "follower_steps")
    return {
        "theta": np.full(theta.shape[1], np.nan),
        "update": closing,
        **{name: np.zeros(len(closing)) for name in steps},
        FAILURE: np.array(message),
    }


def _train_together(chunk: Chunk) -> list[Arrays]:
    settings = [run.setting for run in chunk.runs]
    built = cell_of(chunk.kind).build(chunk.estimator, settings, chunk.context)
    trained = train(
        built.game,
        built.estimator,
        Streams([run.seed for run in chunk.runs]),
        rule=built.rule,
        num_updates=settings[0].num_updates,
        max_rows=chunk.max_rows,
        actor_steps=built.actor_steps,
    )
    return [
        {"theta": theta}
        | {name: values[r] for name, values in trained.curves.items()}
        | {f"{COORDINATE}{name}": values[r] for name, values in trained.coordinates.items()}
        for r, theta in enumerate(trained.theta)
    ]
