"""What FourRooms shows of trained leaders: penalties on the map, and the follower's way."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.problem import Problem
from bilevelrl.evaluation.conditions import GROUP, conditions_of, study_of, with_conditions
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.cell import make_four_rooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock, FourRoomsParams
from bilevelrl.runs.records import Cell, RunIdentity
from bilevelrl.runs.table_files import concatenate

Floats = NDArray[np.float64]

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
    cell: Cell, constants: FourRoomsParams, followers: FollowerParams[Any]
) -> pd.DataFrame:
    """Maps of the first seed of every setting of the main comparison; columns `MAP_COLUMNS`.

    Args:
        cell: of FourRooms.
        constants: of the problem.
        followers: accuracy of the best response whose greedy path is shown.
    """
    tables = [pd.DataFrame(columns=list(MAP_COLUMNS)).astype(MAP_COLUMNS)]
    for run, theta in first_seeds(cell):
        problem = make_four_rooms(constants, run.variant)
        temperature = np.array([float(run.conditions["temperature"])])
        follower = SoftPolicyIteration(
            problem.planner, temperature, followers.tolerance, followers.max_iterations
        )
        start = np.zeros((1, problem.num_states))
        policy = follower.respond(problem.follower_reward(theta[None]), start).policy[0]
        path = greedy_path(policy, problem.moves, problem.start, problem.goal)
        penalties = problem.incentive(theta[None])[0]
        kept = 1.0 + float(penalties.sum()) / problem.incentive_scale
        tables.append(_map_rows(run, penalties, problem.cells, path, kept))
    return concatenate(tables)


def first_seeds(cell: Cell) -> list[tuple[RunIdentity, Floats]]:
    """The first seed of every setting of the main comparison, with its final θ, shape (D,)."""
    chosen: dict[tuple[str, str], tuple[RunIdentity, Floats]] = {}
    for run, theta in sorted(
        zip(cell.runs, cell.theta, strict=True), key=lambda pair: pair[0].seed
    ):
        if study_of(run.conditions) == "main":
            chosen.setdefault((run.variant, run.setting), (run, theta))
    return list(chosen.values())


def greedy_path(
    policy: Floats, moves: NDArray[np.int32], start: int, goal: int, max_steps: int = 30
) -> list[int]:
    """States visited by taking, without slips, the most probable action that leaves the cell.

    Args:
        policy: π(a | s), shape (S, A).
        moves: state that each action leads to, shape (S, A).
        start: first state.
        goal: state where the path ends.
        max_steps: a follower that is lured on the way need not arrive.
    """
    path = [start]
    while path[-1] != goal and len(path) <= max_steps:
        state = path[-1]
        preference = np.where(moves[state] != state, policy[state], -1.0)
        path.append(int(moves[state, np.argmax(preference)]))
    return path


def _map_rows(
    run: RunIdentity,
    penalties: Floats,
    cells: tuple[tuple[int, int], ...],
    path: list[int],
    kept: float,
) -> pd.DataFrame:
    records = [("cell", s, *cells[s], float(penalties[s])) for s in range(len(cells))]
    records += [("path", step, *cells[s], 0.0) for step, s in enumerate(path)]
    records.append(("kept", 0, 0, 0, kept))
    table = pd.DataFrame(records, columns=["kind", "index", "row", "column", "value"])
    table = table.assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
    return with_conditions(table, conditions_of([run]))[list(MAP_COLUMNS)].astype(MAP_COLUMNS)
