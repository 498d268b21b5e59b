"""Cells of any problem as params.yaml has them, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.core.training import Trained, train
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.params import Params, read_params

PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")


def context(problem: str) -> Context[Any, Any, Any]:
    block = PARAMS.block(problem)
    return Context(block.constants, PARAMS.problem(problem).followers, block.training)


def build_runs(problem: str, estimator: str, settings: Sequence[Setting]) -> Training[Any]:
    """What `train` needs for runs of a batch."""
    kind = PARAMS.block(problem).kind
    make = maker(kind, estimator, settings[0])
    return cell_of(kind).build(make, settings, context(problem))


def trained_runs(
    problem: str, estimator: str, settings: Sequence[Setting], seeds: list[int]
) -> Trained:
    """A run per seed, every update recorded."""
    built, number = build_runs(problem, estimator, settings), settings[0].num_updates
    return train(
        built.game, built.estimator, Streams(seeds), rule=built.rule, num_updates=number,
        max_rows=number,
    )  # fmt: skip
