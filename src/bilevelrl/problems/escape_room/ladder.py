"""Which estimators are compared with the exact hypergradient in EscapeRoom, and where."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import Group
from bilevelrl.core.exact import Exact
from bilevelrl.core.ladder import Rung
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.core.validation import Content
from bilevelrl.models.logit_equilibrium.game import PaidPlayers
from bilevelrl.models.logit_equilibrium.settings import PlayersSetting
from bilevelrl.problems.escape_room.cell import group_of, make_game
from bilevelrl.problems.escape_room.settings import EscapeRoomBlock

#: Replicates of a worker's batch.
TOGETHER = 50
LADDER = (
    Rung("bc_hg", "improved", "means"),
    Rung("bc_hg", "improved", "means", "weights of any size", {"largest_weight": 1e12}),
    Rung("uncoupled", "improved", "means"),
    Rung("naive", "improved", "none"),
    Rung("zero_order", "improved", "none", samples=False),
)


def shared(problem: Problem[EscapeRoomBlock], budget: int) -> Content:
    """Hyper-parameters that the study says."""
    del budget
    study = problem.block.gradients
    return {
        "initial_spread": study.spread,
        "step_size_ratio": 1.0,
        "num_updates": 1,
        "largest_weight": study.largest_weight,
        "radius": study.radius,
    }


def group(
    problem: Problem[EscapeRoomBlock], settings: Sequence[PlayersSetting]
) -> Group[Any, PaidPlayers]:
    """Replicates that are computed together."""
    return group_of(problem.block.constants, problem.followers, settings)


def points(problem: Problem[EscapeRoomBlock], best_theta: Floats) -> dict[str, Floats]:
    """θ along one exact ascent, by name."""
    del best_theta
    study = problem.block.gradients
    beta, spread = np.array([study.temperature]), np.array([study.spread])
    game = make_game(problem.block.constants, problem.followers, beta, spread)
    steps = ascend(
        game, Exact(game), Streams([study.first_seed]),
        rule=Adam(np.array([study.step_size])), num_updates=max(study.updates) + 1,
    )  # fmt: skip
    return {
        f"update {step.update} of exact ascent": step.theta[0]
        for step in steps
        if step.update in study.updates
    }
