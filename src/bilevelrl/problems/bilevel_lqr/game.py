"""BilevelLQR with its follower, ready for the training loop."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient, lqr_leader_return
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR


@dataclass(frozen=True, eq=False)
class LinearGame:
    """Implements `core.training.Game`.

    Attributes:
        problem: the bi-level problem.
        follower: the exact best response.
        initial_spread: standard deviation of θ at the start of each run, shape (R,).
        return_discount: of the J that is reported; the hypergradient is always that of γ_L.
    """

    problem: BilevelLQR
    follower: MaxEntropyLQR
    initial_spread: Floats
    return_discount: float

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        normals = streams.normals("initial_parameters", (self.problem.num_parameters,))
        theta = self.problem.initial_parameters(normals, self.initial_spread)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """Nothing, shape (R, 0)."""
        del streams
        return np.empty((num_runs, 0))

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> LinearGaussianResponse:
        """What the follower plays against θ."""
        del memory, streams
        return self.follower.respond(theta)

    def leader_return(self, theta: Floats, response: LinearGaussianResponse) -> Floats:
        """The J that is reported, over an episode, shape (R,)."""
        return lqr_leader_return(self.problem, theta, response, self.return_discount)

    def objective(self, theta: Floats, response: LinearGaussianResponse) -> Floats:
        """The J that the leader climbs, discounted with γ_L, shape (R,)."""
        return lqr_leader_return(self.problem, theta, response, self.problem.leader_discount)

    def hypergradient(self, theta: Floats, response: LinearGaussianResponse) -> Hypergradient:
        """d`objective`/dθ if the follower's best response is `response`."""
        return lqr_hypergradient(self.follower, theta, response, self.problem.leader_discount)

    def optimal_return(self, theta: Floats) -> Floats:
        """J under the best response, shape (R,)."""
        return self.leader_return(theta, self.follower.respond(theta))

    def ground_truth(self, theta: Floats, response: LinearGaussianResponse) -> GroundTruth:
        """Exact hypergradient; the follower is exact, so its errors are nil."""
        return GroundTruth(
            self.hypergradient(theta, response).total,
            self.leader_return(theta, response),
            np.zeros(len(theta)),
            np.zeros(len(theta)),
        )

    def coordinates(self, theta: Floats, response: LinearGaussianResponse) -> dict[str, Floats]:
        """The leader's gain."""
        del response
        return {f"K{i + 1}": theta[:, i] for i in range(theta.shape[1])}

    def extremes(self, theta: Floats, response: LinearGaussianResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}
