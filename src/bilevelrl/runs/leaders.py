"""Train all runs of a cell: split into chunks, reuse what is known, assemble one table."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import AnyArray, Arrays
from bilevelrl.core.cell import Context
from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.settings import Setting, flat, group_key
from bilevelrl.runs.chunks import (
    COORDINATE,
    FAILURE,
    Chunk,
    Run,
    cell_digest,
    maker_of,
    train_chunk,
)
from bilevelrl.runs.execution import ResultCache, content_key, run_tasks
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import (
    COORDINATE_COLUMNS,
    CURVE_COLUMNS,
    Cell,
    RunIdentity,
    roles_string,
    setting_string,
)
from bilevelrl.runs.table_files import concatenate

#: What a run took, among the arrays of the cache; part of no table.
SECONDS = "cpu_seconds"
#: Runs per task: enough to spread the cost of Python's calls, few enough to balance cores.
CHUNK = 20
#: Chunks per process from which on runs stay together that can: an update of many runs takes hardly
#: longer than one of few.
MANY = 4


def list_runs(
    params: Params, problem: str, estimator: str, settings: Sequence[Setting]
) -> tuple[Run, ...]:
    """All runs of some settings of a cell, in the order in which they are written.

    A run's key covers everything that determines its result and nothing else: not the number of
    seeds, nor the other settings of the cell.
    """
    own = params.problem(problem)
    block = own.block
    runs = []
    for setting in settings:
        content = {
            "problem": problem,
            "constants": block.constants.model_dump(),
            "estimator": estimator,
            "setting": setting.model_dump(exclude={"first_seed", "num_seeds"}, exclude_none=True),
            "followers": own.followers.model_dump(),
            "unsettable": block.training.model_dump(exclude=set(type(setting).model_fields)),
            "maker": maker_of(block.kind, estimator, setting),
            "code": cell_digest(block.kind, estimator, setting),
        }
        runs += [
            Run(setting, seed, content_key(content | {"seed": seed})) for seed in setting.seeds
        ]
    return tuple(runs)


def make_chunks(params: Params, missing: Mapping[tuple[str, str], Sequence[Run]]) -> list[Chunk]:
    """Group the runs of each cell that can share arrays, most expensive chunks first.

    At most `CHUNK` runs together, or fewer where there would not be `MANY` chunks per process; runs
    that share no arrays train alone. How runs are grouped changes no result.
    """
    chunks = [chunk for cell in missing for chunk in _grouped(params, cell, missing[cell], CHUNK)]
    if len(chunks) < MANY * params.runtime.jobs:
        chunks = [
            chunk
            for cell, runs in missing.items()
            for chunk in _grouped(params, cell, runs, -(-len(runs) // params.runtime.jobs))
        ]
    return sorted(chunks, key=_cost, reverse=True)


def _grouped(
    params: Params, cell: tuple[str, str], runs: Sequence[Run], together: int
) -> Iterator[Chunk]:
    problem, estimator = cell
    own = params.problem(problem)
    block = own.block
    context = Context(block.constants, own.followers, block.training)
    groups: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[group_key(run.setting)].append(run)
    for members in groups.values():
        alone = any(component.trains_alone for component in members[0].setting.components)
        size = 1 if alone else min(CHUNK, together)
        for first in range(0, len(members), size):
            batch, max_rows = tuple(members[first : first + size]), block.training.max_rows
            yield Chunk(problem, block.kind, estimator, batch, context, max_rows)


def _cost(chunk: Chunk) -> int:
    # In transitions that the leader samples.
    total = 0
    for setting in (run.setting for run in chunk.runs):
        total += setting.num_updates * (1000 + getattr(setting, "env_steps_per_update", 0))
        total += sum(component.cost(setting.num_updates) for component in setting.components)
    return total


def train_timed(chunk: Chunk) -> list[Arrays]:
    """What `train_chunk` returns, with the CPU seconds of a run among its arrays as `SECONDS`."""
    started = time.process_time()
    trained = train_chunk(chunk)
    seconds = np.array((time.process_time() - started) / len(chunk.runs))
    return [arrays | {SECONDS: seconds} for arrays in trained]


def train_runs(
    params: Params, problem: str, estimator: str, runs: Sequence[Run], cache: ResultCache
) -> dict[str, Arrays]:
    """Train every run that `cache` does not know yet; the results of all of them by key."""
    results = {run.key: found for run in runs if (found := cache.get(run.key)) is not None}
    missing = [run for run in runs if run.key not in results]
    chunks = make_chunks(params, {(problem, estimator): missing})
    for position, trained in run_tasks(
        train_timed,
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
    block = params.block(problem)
    identities = [
        _identity(problem, block, estimator, run, results[run.key].get(FAILURE)) for run in runs
    ]
    curves = concatenate(_curve(identity, results[identity.run_key]) for identity in identities)
    theta = _side_by_side([results[run.key]["theta"] for run in runs])
    places = [_places(identity, results[identity.run_key]) for identity in identities]
    return Cell(tuple(identities), theta, curves, concatenate(places))


def _side_by_side(rows: Sequence[AnyArray]) -> AnyArray:
    # Rows of different lengths, shape (R, longest), NaN beyond the end of the shorter ones.
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table


def _identity(
    problem: str, block: ProblemBlock, estimator: str, run: Run, failure: AnyArray | None
) -> RunIdentity:
    setting, left_out = run.setting, {"first_seed", "num_seeds", "variant"}
    conditions = setting.conditions(block.shared())
    return RunIdentity(
        problem,
        estimator,
        setting.variant,
        setting_string(conditions),
        run.seed,
        run.key,
        hyperparameters=flat(setting.model_dump(exclude=left_out, exclude_none=True)),
        failure="" if failure is None else str(failure),
        kind=block.kind,
        conditions=conditions,
        roles=roles_string(setting.roles),
    )


def _places(identity: RunIdentity, arrays: Arrays) -> pd.DataFrame:
    rows = [
        (update, name.removeprefix(COORDINATE), value)
        for name, values in arrays.items()
        if name.startswith(COORDINATE)
        for update, value in zip(arrays["update"], values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["update", "coordinate", "value"])
    fixed = {key: getattr(identity, key) for key in COORDINATE_COLUMNS if key not in table}
    return table.assign(**fixed)[list(COORDINATE_COLUMNS)].astype(COORDINATE_COLUMNS)


def _curve(identity: RunIdentity, arrays: Arrays) -> pd.DataFrame:
    names = {"problem", "estimator", "variant", "setting", "seed"}
    fixed = {name: getattr(identity, name) for name in names}
    failed = FAILURE in arrays
    measured = {
        name: arrays.get(name, np.nan) if failed else arrays[name]
        for name in CURVE_COLUMNS
        if name not in names
    }
    return pd.DataFrame(measured).assign(**fixed)[list(CURVE_COLUMNS)].astype(CURVE_COLUMNS)


def unstable_runs(cell: Cell) -> list[str]:
    """One line per run whose closed loop was unstable at some update: where it was worst.

    Such runs are kept: `evaluation.run_scores` marks them.
    """
    key = ["variant", "setting", "seed"]
    places = cell.coordinates
    looked_at = places[places["coordinate"] == "spectral_radius"]
    radius = looked_at[looked_at["value"] > 1.0]
    worst = radius.loc[radius.groupby(key)["value"].idxmax().sort_values()]
    lines = []
    for _, row in worst.iterrows():
        own = places[(places[key] == row[key]).all(axis=1) & (places["update"] == row["update"])]
        design = ", ".join(
            f"{name} = {value:.3f}"
            for name, value in zip(own["coordinate"], own["value"], strict=True)
            if name.startswith(("alpha", "beta"))
        )
        times, rows = ((each[key] == row[key]).all(axis=1).sum() for each in (radius, looked_at))
        lines.append(
            f"{row['problem']} {row['estimator']} {row['variant']} {row['setting']} seed "
            f"{row['seed']}: closed loop unstable in {times} of {rows} windows of updates, "
            f"spectral radius up to {row['value']:.4f} in the one that ends at update "
            f"{row['update']} with {design}"
        )
    return lines
