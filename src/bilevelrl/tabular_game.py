"""A tabular problem with its follower, ready for the training loop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.estimators.exact import exact_hypergradient, leader_return
from bilevelrl.followers.protocol import BestResponse, Follower
from bilevelrl.followers.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.protocol import TabularProblem
from bilevelrl.seeding import Streams
from bilevelrl.training import GroundTruth

Floats = NDArray[np.float64]


def policy_kl(policy: Floats, reference: Floats) -> Floats:
    """Mean over states of Σ_a π (log(π + ε) - log(π_ref + ε)), ε = 1e-16, shape (R,)."""
    ratio = np.log(policy + 1e-16) - np.log(reference + 1e-16)
    kl: Floats = (policy * ratio).sum(axis=2).mean(axis=1)
    return np.maximum(kl, 0.0)  # rounding can leave -1e-18


@dataclass(frozen=True, eq=False)
class TabularGame:
    """Implements `training.Game`.

    Attributes:
        problem: the bi-level problem.
        follower: what the follower does during training.
        exact: the exact best response, for the ground truth.
        initial_spread: standard deviation of θ at the start of each run, shape (R,).
    """

    problem: TabularProblem
    follower: Follower
    exact: SoftPolicyIteration
    initial_spread: Floats

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        normals = streams.normals("initial_parameters", (self.problem.num_parameters,))
        theta = self.problem.initial_parameters(normals, self.initial_spread)
        return theta, self.follower.start(len(theta), streams)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """What the follower plays against θ."""
        return self.follower.respond(self.problem.follower_reward(theta), memory, streams)

    def leader_return(self, theta: Floats, response: BestResponse) -> Floats:
        """Exact J(θ) under what the follower plays, shape (R,)."""
        return leader_return(self.problem, theta, response.policy)

    def ground_truth(self, theta: Floats, response: BestResponse) -> GroundTruth:
        """Exact hypergradient and follower errors at θ; solves for the best response if need be."""
        if self.follower is self.exact:
            optimal = response
        else:
            # From a cold start, so that the answer does not depend on how often it is asked for.
            cold = np.zeros_like(response.value)
            optimal = self.exact.respond(self.problem.follower_reward(theta), cold)
        truth = exact_hypergradient(self.problem, theta, optimal.policy, self.exact.temperature)
        return GroundTruth(
            truth.total, truth.leader_return, policy_kl(response.policy, optimal.policy)
        )
