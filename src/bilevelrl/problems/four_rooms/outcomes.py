"""What FourRooms shows of trained leaders: penalties on the map, and the follower's way."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.problem import Problem
from bilevelrl.evaluation.conditions import GROUP, conditions_of, study_of, with_conditions
from bilevelrl.problems.four_rooms.cell import best_policy, make_four_rooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock, FourRoomsParams
from bilevelrl.runs.records import Cell, RunIdentity
from bilevelrl.runs.table_files import concatenate

#: kind "cell": one row per free cell, `value` the penalty. kind "path": one row per step of the
#: greedy path, `index` the step. kind "kept": one row, `value` the share of the budget not spent.
MAP_COLUMNS: dict[str, str] = {
    "problem": "string",
    "estimator": "string",
    "variant": "string",
    "setting": "string",
    "temperature": "float64",
    "budget": "int64",
    "seed": "int64",
    "kind": "string",
    "index": "int64",
    "row": "int64",
    "column": "int64",
    "value": "float64",
}


def tables(problem: Problem[FourRoomsBlock], cell: Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """What the leaders stage writes beside the runs of a cell: name and table."""
    yield "penalty_maps", penalty_maps(cell, problem.block.constants, problem.followers)


def penalty_maps(
    cell: Cell, constants: FourRoomsParams, followers: FollowerParams[SoftQParams]
) -> pd.DataFrame:
    """Maps of the first seed of every setting of the main comparison; columns `MAP_COLUMNS`."""
    maps = [pd.DataFrame(columns=list(MAP_COLUMNS)).astype(MAP_COLUMNS)]
    for run, theta in _first_seeds(cell):
        problem, temperature = (
            make_four_rooms(constants, run.variant),
            run.conditions["temperature"],
        )
        policy = best_policy(problem, theta, float(temperature), followers)
        path = greedy_path(policy, problem.moves, problem.start, problem.goal)
        penalties, cells = problem.incentive(theta[None])[0], problem.cells
        kept = 1.0 + float(penalties.sum()) / problem.incentive_scale
        rows = [("cell", s, *cells[s], float(penalties[s])) for s in range(len(cells))]
        rows += [("path", step, *cells[s], 0.0) for step, s in enumerate(path)]
        table = pd.DataFrame(
            [*rows, ("kept", 0, 0, 0, kept)], columns=["kind", "index", "row", "column", "value"]
        ).assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
        table = with_conditions(table, conditions_of([run]))[list(MAP_COLUMNS)]
        maps.append(table.astype(MAP_COLUMNS))
    return concatenate(maps)


def _first_seeds(cell: Cell) -> list[tuple[RunIdentity, Floats]]:
    """The first seed of every setting of the main comparison, with its final θ, shape (D,)."""
    chosen: dict[tuple[str, str], tuple[RunIdentity, Floats]] = {}
    found = zip(cell.runs, cell.theta, strict=True)
    for run, theta in sorted(found, key=lambda pair: pair[0].seed):
        if study_of(run) == "main":
            chosen.setdefault((run.variant, run.setting), (run, theta))
    return list(chosen.values())


def greedy_path(
    policy: Floats, moves: NDArray[np.int32], start: int, goal: int, max_steps: int = 30
) -> list[int]:
    """States visited by taking, without slips, the most probable action that leaves the cell.

    A follower that is lured on the way need not arrive, hence `max_steps`; π(a | s) and the states
    that `moves` lead to have shape (S, A).
    """
    path = [start]
    while path[-1] != goal and len(path) <= max_steps:
        state = path[-1]
        preference = np.where(moves[state] != state, policy[state], -1.0)
        path.append(int(moves[state, np.argmax(preference)]))
    return path
