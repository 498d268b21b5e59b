"""A finite game with its follower, ready for the training loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import BestResponse, policy_kl
from bilevelrl.core.observations import Information, Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import MarkovGame, follower_soft_return, leader_return
from bilevelrl.models.finite_game.policies import CategoricalPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQFollower, SoftQIteration


@dataclass(frozen=True, eq=False)
class FiniteGame:
    """Implements `core.training.Game`.

    Attributes:
        game: the finite game.
        policy: f_θ(a | s).
        follower: what the follower does during training.
        exact: the exact best response, for the ground truth.
        return_discount: of the J that is reported; the hypergradient is always that of γ_L.
        shown: name to the (s, a) whose probability is recorded as a coordinate.
    """

    game: MarkovGame
    policy: CategoricalPolicy
    follower: SoftQFollower
    exact: SoftQIteration
    return_discount: float
    shown: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        theta = self.policy.initial_parameters(streams)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """What the follower remembers before its first answer."""
        return self.follower.start(num_runs, streams)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """What the follower plays against θ."""
        return self.follower.respond(self.policy.probabilities(theta), memory, streams)

    def leader_return(self, theta: Floats, response: BestResponse) -> Floats:
        """The J that is reported, over an episode under what the follower plays, shape (R,)."""
        return self._return(theta, response, self.return_discount)

    def optimal_return(self, theta: Floats) -> Floats:
        """The J that is reported, under the best response, shape (R,)."""
        return self.leader_return(theta, self._best(self.policy.probabilities(theta)))

    def _best(self, leader: Floats) -> BestResponse:
        # From a cold start, so that the answer does not depend on how often it is asked for.
        return self.exact.respond(leader, self.exact.start(len(leader)))

    def coordinates(self, theta: Floats, response: BestResponse) -> dict[str, Floats]:
        """f_θ(a | s) of the pairs in `shown`."""
        del response
        leader = self.policy.probabilities(theta)
        return {name: leader[:, s, a] for name, (s, a) in self.shown.items()}

    def extremes(self, theta: Floats, response: BestResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}

    def objective(self, theta: Floats, response: BestResponse) -> Floats:
        """The J that the leader climbs, discounted with γ_L, shape (R,)."""
        return self._return(theta, response, self.game.leader_discount)

    def _return(self, theta: Floats, response: BestResponse, discount: float) -> Floats:
        leader, horizon = self.policy.probabilities(theta), self.game.max_episode_steps
        return leader_return(self.game, leader, response.policy, discount=discount, horizon=horizon)

    def hypergradient(self, theta: Floats, response: BestResponse) -> Hypergradient:
        """d`objective`/dθ if the follower's best response is `response`."""
        game, leader = self.game, self.policy.probabilities(theta)
        direct, indirect, value = game_hypergradient(
            game, leader, response, self.exact.temperature, discount=game.leader_discount,
            horizon=game.max_episode_steps, order=self.exact.order,
        )  # fmt: skip
        pull_back = self.policy.pull_back
        return Hypergradient(
            pull_back(theta, direct * leader), pull_back(theta, indirect * leader), value
        )

    def ground_truth(self, theta: Floats, response: BestResponse) -> GroundTruth:
        """Exact hypergradient and follower errors at θ; solves for the best response if need be."""
        optimal, leader = response, self.policy.probabilities(theta)
        if self.follower is not self.exact:
            optimal = self._best(leader)
        pairs = (len(theta), -1, self.game.num_follower_actions)
        soft = [
            follower_soft_return(self.game, leader, answer.policy, self.exact.temperature)
            for answer in (optimal, response)
        ]
        return GroundTruth(
            self.hypergradient(theta, optimal).total,
            self.leader_return(theta, optimal),
            policy_kl(response.policy.reshape(pairs), optimal.policy.reshape(pairs)),
            soft[0] - soft[1],
        )


@dataclass(frozen=True, eq=False)
class FiniteSampler:
    """Implements `sampled.Sampler`; `information` "rewards" adds the follower's."""

    policy: CategoricalPolicy
    rollout: GameRollout
    information: Information

    def observe(
        self, theta: Floats, response: BestResponse, streams: Streams, *, at_random: bool
    ) -> Observations:
        """Whole episodes; `at_random` draws the leader's actions uniformly."""
        leader, game = self.policy.probabilities(theta), self.rollout.game
        if at_random:
            leader = np.full_like(leader, 1.0 / game.num_leader_actions)
        seen = self.rollout.sample(leader, response.policy, streams)
        if self.information != "rewards":
            return seen
        reward = game.follower_reward[seen.state, seen.leader_action, seen.follower_action]
        return replace(seen, follower_reward=reward)
