"""The follower blocks for tests: solvers of their own, and the shipped learning rules."""

from pathlib import Path
from typing import Any

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.runs.params import read_params

_SHIPPED = read_params(Path(__file__).parents[1] / "params.yaml")


def followers_of(problem: str) -> FollowerParams[Any]:
    """The block of one problem."""
    solvers = {"tolerance": 1e-10, "max_iterations": 200, "sweeps": 5}
    return _SHIPPED.problem(problem).followers.model_copy(update=solvers)


#: Of tests in which no follower learns.
FOLLOWERS: FollowerParams[Any] = followers_of("guided_cartpole")
