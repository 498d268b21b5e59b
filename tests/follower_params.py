"""The follower block for tests: its own solvers, and the shipped learning rules."""

from pathlib import Path

from bilevelrl.config import FollowerParams, read_params

FOLLOWERS: FollowerParams = read_params(Path(__file__).parents[1] / "params.yaml").followers
FOLLOWERS = FOLLOWERS.model_copy(update={"tolerance": 1e-10, "max_iterations": 200, "sweeps": 5})
