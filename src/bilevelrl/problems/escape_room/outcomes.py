"""What EscapeRoom shows of trained leaders: what they pay, and what players do at every step."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import Streams
from bilevelrl.evaluation.conditions import GROUP, conditions_of, study_of, with_conditions
from bilevelrl.models.logit_equilibrium.game import PaidPlayers
from bilevelrl.models.logit_equilibrium.hypergradient import evaluate
from bilevelrl.problems.escape_room.cell import make_game
from bilevelrl.problems.escape_room.problem import DOOR, LEVER
from bilevelrl.problems.escape_room.settings import EscapeRoomBlock
from bilevelrl.runs.records import Cell
from bilevelrl.runs.table_files import concatenate

#: A row per run, player and step. Of players who have not left yet at a step: `lasting`, the
#: probability that the episode lasts until then; `lever` and `door`, the probabilities that it does
#: and that the player chooses these; `payment`, what the player expects for pulling then if the
#: episode lasts. Player 0 is the one who pulls most.
PLAY_COLUMNS: dict[str, str] = {
    "problem": "string",
    "estimator": "string",
    "variant": "string",
    "setting": "string",
    "temperature": "float64",
    "case": "string",
    "budget": "int64",
    "seed": "int64",
    "player": "int64",
    "step": "int64",
    "lasting": "float64",
    "lever": "float64",
    "door": "float64",
    "payment": "float64",
}


class _Size(NamedTuple):
    players: int
    levers_needed: int


def tables(problem: Problem[EscapeRoomBlock], cell: Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """What the leaders stage writes beside the runs of a cell: name and table."""
    yield "play", play(problem, cell)


def play(problem: Problem[EscapeRoomBlock], cell: Cell) -> pd.DataFrame:
    """Columns `PLAY_COLUMNS`, of the main comparison's runs that have a result, at their last θ."""
    found = [pd.DataFrame(columns=list(PLAY_COLUMNS)).astype(PLAY_COLUMNS)]
    for run, theta in zip(cell.runs, cell.leaders, strict=True):
        if study_of(run) != "main" or run.failure:
            continue
        beta = np.array([float(run.conditions["temperature"])])
        size = _Size(int(run.conditions["players"]), int(run.conditions["levers"]))
        game = make_game(problem.block.constants, size, problem.followers, beta, np.zeros(1))
        table = _by_step(game, theta).assign(**{key: getattr(run, key) for key in (*GROUP, "seed")})
        table = with_conditions(table, conditions_of([run]))[list(PLAY_COLUMNS)]
        found.append(table.astype(PLAY_COLUMNS))
    return concatenate(found)


def _by_step(game: PaidPlayers, theta: Floats) -> pd.DataFrame:
    streams = Streams([0])
    reached = game.respond(theta[None], game.follower_memory(1, streams), streams).reached
    occupancy = evaluate(reached, game.payments.cost).occupancy[0]  # (H, S)
    lasting = occupancy.sum(axis=1)
    chosen = np.einsum("hs,hsna->hna", occupancy, reached.policy[0])
    share = occupancy / np.maximum(lasting, 1e-300)[:, None]
    paid = np.einsum("hs,ns->hn", share, reached.payments[0, :, :, LEVER])
    order = np.argsort(-chosen[:, :, LEVER].sum(axis=0), kind="stable")
    return pd.DataFrame(
        [
            (rank, step, lasting[step], own[LEVER], own[DOOR], paid[step, player])
            for rank, player in enumerate(order)
            for step, own in enumerate(chosen[:, player])
        ],
        columns=["player", "step", "lasting", "lever", "door", "payment"],
    )
