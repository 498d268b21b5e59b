"""What one worker computes: runs that train together, from settings to arrays.

Everything here and below can change a result, and is therefore part of every run's key. What only
one kind of problem uses is part of the keys of that kind alone: `problems.registry` finds it.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from bilevelrl.core.arrays import Arrays
from bilevelrl.core.cell import AnyContext, AnyTraining, CellModule, Maker
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.provenance import code_digest
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.core.training import recorded_updates, train
from bilevelrl.problems import registry

#: Modules that only hold values, which a run's key has anyway.
VALUES = (
    "core.blocks", "core.entries", "core.finite_settings", "core.games", "core.problem",
    "core.settings", "core.validation", "models.deep.settings", "models.finite_game.settings",
    "models.tabular.settings", "problems.registry",
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
    """Runs of a cell that can share a batch, and all that a worker needs to train them."""

    problem: str
    kind: str
    estimator: str
    runs: tuple[Run, ...]
    context: AnyContext
    max_rows: int


def cell_of(kind: str) -> CellModule:
    """The module that builds the runs of a kind of problem."""
    return cast(CellModule, registry.part(kind, "cell"))


def maker_of(kind: str, estimator: str, setting: Setting) -> str:
    """Which function builds the estimator of a setting, see `core.entries.Registered`."""
    block: type[ProblemBlock] = registry.part(kind, "settings").BLOCK
    return block.estimators[estimator, setting.variant].maker


def maker(kind: str, estimator: str, setting: Setting) -> Maker:
    """The function that builds the estimator of a setting."""
    return cast(Maker, registry.function(kind, maker_of(kind, estimator, setting)))


def cell_digest(kind: str, estimator: str, setting: Setting) -> str:
    """Digest of all code that can change a run of an estimator."""
    making, _ = registry.function_name(kind, maker_of(kind, estimator, setting))
    cell, settings = (registry.module_name(kind, part) for part in ("cell", "settings"))
    return code_digest("runs.chunks", *{cell: None, making: None}, values=(*VALUES, settings))


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


def _build(chunk: Chunk) -> AnyTraining:
    settings = [run.setting for run in chunk.runs]
    make = maker(chunk.kind, chunk.estimator, settings[0])
    return cell_of(chunk.kind).build(make, settings, chunk.context)


def _failed(chunk: Chunk, message: str) -> Arrays:
    (run,) = chunk.runs
    theta, _ = _build(chunk).game.start(Streams([run.seed]))
    closing = np.array(recorded_updates(run.setting.num_updates, chunk.max_rows), dtype=np.float64)
    steps = ("env_steps", "oracle_steps", "follower_steps")
    return {
        "theta": np.full(theta.shape[1], np.nan),
        "update": closing,
        **{name: np.zeros(len(closing)) for name in steps},
        FAILURE: np.array(message),
    }


def _train_together(chunk: Chunk) -> list[Arrays]:
    built = _build(chunk)
    trained = train(
        built.game,
        built.estimator,
        Streams([run.seed for run in chunk.runs]),
        rule=built.rule,
        num_updates=chunk.runs[0].setting.num_updates,
        max_rows=chunk.max_rows,
        actor_steps=built.actor_steps,
        exact_interval=built.exact_interval,
    )
    return [
        {"theta": theta}
        | {name: values[r] for name, values in trained.curves.items()}
        | {f"{COORDINATE}{name}": values[r] for name, values in trained.coordinates.items()}
        for r, theta in enumerate(trained.theta)
    ]
