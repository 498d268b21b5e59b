"""Train all runs of a cell: split into chunks, reuse what is known, assemble one table."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.cells import group_key
from bilevelrl.chunks import Chunk, Run, train_chunk
from bilevelrl.config import Params, Setting
from bilevelrl.execution import Arrays, ResultCache, content_key, run_tasks
from bilevelrl.provenance import code_digest
from bilevelrl.records import CURVE_COLUMNS, Cell, RunIdentity, concatenate, setting_string

#: Runs per task: enough to spread the cost of a Python call per update, few enough to balance
#: cores.
CHUNK = 20


def list_runs(
    params: Params, problem: str, estimator: str, settings: Sequence[Setting]
) -> tuple[Run, ...]:
    """All runs of some settings of a cell, in the order in which they are written.

    A run's key covers everything that determines its result and nothing else: not the number of
    seeds, nor the other settings of the cell.
    """
    constants = getattr(params.problems, problem)
    shared = params.leaders
    runs = []
    for setting in settings:
        own = setting.model_dump(exclude={"first_seed", "num_seeds"})
        for seed in setting.seeds:
            content = {
                "problem": problem,
                "constants": constants.model_dump(),
                "estimator": estimator,
                "setting": own,
                "seed": seed,
                "followers": params.followers.model_dump(),
                "max_rows": shared.max_rows,
                "max_gradient_norm": shared.max_gradient_norm,
                "code": code_digest("chunks", values=("config",)),
            }
            runs.append(Run(setting, seed, content_key(content)))
    return tuple(runs)


def make_chunks(params: Params, problem: str, estimator: str, runs: Sequence[Run]) -> list[Chunk]:
    """Group runs that can share arrays, at most `CHUNK` together, most expensive chunks first."""
    groups: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[group_key(run.setting)].append(run)
    chunks = [
        Chunk(
            estimator,
            tuple(members[first : first + CHUNK]),
            getattr(params.problems, problem),
            params.followers,
            params.leaders,
        )
        for members in groups.values()
        for first in range(0, len(members), CHUNK)
    ]
    return sorted(chunks, key=_cost, reverse=True)


def _cost(chunk: Chunk) -> int:
    return sum(
        run.setting.num_updates
        * (
            1000
            + (run.setting.env_steps_per_update or 0)
            + 100 * (run.setting.policy_iterations or 0)
        )
        for run in chunk.runs
    )


def train_runs(
    params: Params, problem: str, estimator: str, runs: Sequence[Run], cache: ResultCache
) -> dict[str, Arrays]:
    """Train every run that `cache` does not know yet; the results of all of them by key."""
    results = {run.key: found for run in runs if (found := cache.get(run.key)) is not None}
    missing = [run for run in runs if run.key not in results]
    chunks = make_chunks(params, problem, estimator, missing)
    for position, trained in run_tasks(
        train_chunk,
        chunks,
        params.runtime,
        weights=[len(chunk.runs) for chunk in chunks],
        description=f"{problem}-{estimator}",
    ):
        for run, arrays in zip(chunks[position].runs, trained, strict=True):
            cache.put(run.key, arrays)
            results[run.key] = arrays
    return results


def train_cell(params: Params, problem: str, estimator: str, cache: ResultCache) -> Cell:
    """Train all runs of a cell, as far as `cache` does not know them, and collect their results."""
    runs = list_runs(params, problem, estimator, params.settings(problem, estimator))
    results = train_runs(params, problem, estimator, runs, cache)
    spread = params.leaders.initial_spread
    identities = [_identity(problem, estimator, run, spread) for run in runs]
    curves = concatenate(_curve(identity, results[identity.run_key]) for identity in identities)
    theta = np.stack([results[run.key]["theta"] for run in runs])
    return Cell(tuple(identities), theta, curves)


def _identity(problem: str, estimator: str, run: Run, spread: float) -> RunIdentity:
    hyperparameters: dict[str, Any] = run.setting.model_dump(
        exclude={"first_seed", "num_seeds", "variant"}, exclude_none=True
    )
    return RunIdentity(
        problem,
        estimator,
        run.setting.variant,
        setting_string(run.setting.conditions(spread)),
        run.seed,
        run.key,
        hyperparameters,
    )


def _curve(identity: RunIdentity, arrays: Arrays) -> pd.DataFrame:
    names = {"problem", "estimator", "variant", "setting", "seed"}
    fixed = {name: getattr(identity, name) for name in names}
    measured = {name: arrays[name] for name in CURVE_COLUMNS if name not in names}
    return pd.DataFrame(measured).assign(**fixed)[list(CURVE_COLUMNS)].astype(CURVE_COLUMNS)
