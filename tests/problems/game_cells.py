"""Cells of the games in which the leader acts, as params.yaml has them but short, for tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.cell import Training
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.settings import Setting
from bilevelrl.runs.chunks import Chunk, Run, train_chunk
from tests.problems.shipped_cells import PARAMS, build_runs, context

Floats = NDArray[np.float64]


#: Of estimators that the study of gradients has, and no cell.
STUDIED: dict[str, dict[str, Any]] = {
    # Twelve episodes of a toy or eighteen of BilevelLQR, half of them of each answer.
    "perturbed": {"epsilon": 0.01, "two_sided": True, "env_steps_per_update": 1800},
    "unrolled": {"sweeps": 10, "start": "answer"},
}


GAMES = ("discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr")


#: Every estimator and variant of every game.
CASES = [
    (problem, estimator, variant)
    for problem in GAMES
    for estimator, variant in PARAMS.block(problem).estimators
]


def shipped(problem: str, estimator: str, variant: str) -> list[Setting]:
    if estimator not in PARAMS.block(problem).cells:
        return []
    return [each for each in PARAMS.settings(problem, estimator) if each.variant == variant]


def make_setting(problem: str, estimator: str, variant: str, **changes: Any) -> Setting:
    """The shipped setting, short; made up where there is none."""
    found = shipped(problem, estimator, variant)
    if found:
        return found[0].model_copy(update={"num_updates": 3, **changes})
    block = PARAMS.block(problem)
    entry = {"variant": variant, "num_updates": 3, **STUDIED.get(estimator, {}), **changes}
    if block.estimators[estimator, variant].has("actor_steps"):
        entry |= {"actor_steps": 1}
    (setting,) = block.expanded(estimator, entry, "cells")
    return setting


def train_runs(
    problem: str, estimator: str, settings: list[Setting], seeds: list[int]
) -> list[dict[str, Floats]]:
    runs = [Run(each, seed, str(seed)) for each, seed in zip(settings, seeds, strict=True)]
    kind = PARAMS.block(problem).kind
    return train_chunk(Chunk(problem, kind, estimator, tuple(runs), context(problem), 500))


def build(problem: str, estimator: str, variant: str, **changes: Any) -> Training[Any]:
    return build_runs(
        problem, estimator, [make_setting(problem, estimator, variant, **changes)] * 2
    )


def learner_of(built: Training[Any]) -> ScoreFunction:
    """What is behind the simulator, with nothing between them."""
    assert isinstance(built.estimator, Sampled)
    assert built.estimator.belief is None
    assert isinstance(built.estimator.learner, ScoreFunction)
    return built.estimator.learner


def env_steps(built: Training[Any]) -> int:
    estimator: Any = built.estimator
    sampler = estimator.sampler
    steps: int = getattr(sampler, "rollout", sampler).env_steps
    return steps
