"""The follower blocks for tests: solvers of their own, and the shipped learning rules."""

from pathlib import Path

from bilevelrl.config import FollowerParams, read_params

_SHIPPED = read_params(Path(__file__).parents[1] / "params.yaml").followers


def followers_of(problem: str) -> FollowerParams:
    """The block of one problem."""
    solvers = {"tolerance": 1e-10, "max_iterations": 200, "sweeps": 5}
    return _SHIPPED.of(problem).model_copy(update=solvers)


#: Of tests in which no follower learns.
FOLLOWERS: FollowerParams = followers_of("guided_cartpole")
