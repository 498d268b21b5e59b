"""A game on a small grid with the true dynamics, and a leader in it."""

from functools import cache

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole

PROBLEM = GuidedCartPole()
WINDS = np.array([-0.5, 0.0, 0.5])
BETA, HORIZON = 0.2, 40
SMALL = GridParams(
    kind="grid",
    positions=15,
    speeds=7,
    top_speed=1.6,
    angles=17,
    rotations=19,
    top_rotation=1.75,
    pushes=5,
    tolerance=1e-4,
)


@cache
def planner(params: GridParams = SMALL) -> Planner:
    """A grid with the true dynamics."""
    return Planner(TrueMechanics(PROBLEM), ModulePolicy(4, 3, (8,)), WINDS, params)


@cache
def leader() -> Floats:
    """A θ at which the wind depends on the state, shape (D,)."""
    first = planner().policy.initial_parameters(Streams([0]))[0]
    moved: Floats = first + 0.3 * np.random.default_rng(1).standard_normal(len(first))
    return moved
