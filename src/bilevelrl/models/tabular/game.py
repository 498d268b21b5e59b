"""A tabular problem with its follower, ready for the training loop."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import BestResponse, Follower, policy_kl, soft_bonus
from bilevelrl.core.observations import Information
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.tabular.exact import exact_hypergradient, leader_return
from bilevelrl.models.tabular.model import start_value
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration


@dataclass(frozen=True, eq=False)
class TabularGame:
    """Implements `core.training.Game`.

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
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """What the follower remembers before its first answer."""
        return self.follower.start(num_runs, streams)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """What the follower plays against θ."""
        return self.follower.respond(self.problem.follower_reward(theta), memory, streams)

    def leader_return(self, theta: Floats, response: BestResponse) -> Floats:
        """Exact J(θ) under what the follower plays, shape (R,)."""
        return leader_return(self.problem, theta, response.policy)

    def optimal_return(self, theta: Floats) -> Floats:
        """Exact J(θ) under the best response, shape (R,)."""
        return self.leader_return(theta, self._best(theta))

    def _best(self, theta: Floats) -> BestResponse:
        # From a cold start, so that the answer does not depend on how often it is asked for.
        return self.exact.respond(self.problem.follower_reward(theta), self.exact.start(len(theta)))

    def coordinates(self, theta: Floats, response: BestResponse) -> dict[str, Floats]:
        """None: θ has as many dimensions as the map has cells."""
        del theta, response
        return {}

    def extremes(self, theta: Floats, response: BestResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}

    def objective(self, theta: Floats, response: BestResponse) -> Floats:
        """The J that the leader climbs: the one that is reported."""
        return self.leader_return(theta, response)

    def hypergradient(self, theta: Floats, response: BestResponse) -> Hypergradient:
        """dJ/dθ if the follower's best response is `response`."""
        return exact_hypergradient(self.problem, theta, response.policy, self.exact.temperature)

    def ground_truth(self, theta: Floats, response: BestResponse) -> GroundTruth:
        """Exact hypergradient and follower errors at θ; solves for the best response if need be."""
        optimal = response
        if self.follower is not self.exact:
            optimal = self._best(theta)
        truth = self.hypergradient(theta, optimal)
        reached = self._soft_return(theta, optimal) - self._soft_return(theta, response)
        return GroundTruth(
            truth.total, truth.leader_return, policy_kl(response.policy, optimal.policy), reached
        )

    def _soft_return(self, theta: Floats, response: BestResponse) -> Floats:
        bonus = soft_bonus(response.policy, self.exact.temperature[:, None, None])
        reward = self.problem.follower_reward(theta) + bonus
        return start_value(self.problem.planner, response.policy, reward)


@dataclass(frozen=True, eq=False)
class TabularSampler:
    """Implements `sampled.Sampler`; `information` "rewards" adds the follower's."""

    problem: TabularProblem
    rollout: Rollout
    information: Information

    def observe(
        self, theta: Floats, response: BestResponse, streams: Streams, *, at_random: bool
    ) -> TabularObservations:
        """A batch of the rollout; there is no leader that could act at random."""
        del at_random
        batch = self.rollout.sample(response.policy, streams)
        place = (np.arange(len(theta))[:, None, None], batch.state, batch.action)
        leader = self.problem.leader_reward(theta)[place]
        follower = None
        if self.information == "rewards":
            follower = self.problem.follower_reward(theta)[place]
        return TabularObservations(**vars(batch), leader_reward=leader, follower_reward=follower)
