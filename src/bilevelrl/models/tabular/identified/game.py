"""The identified model as a problem of its own, in which everything is exact."""

from dataclasses import dataclass
from typing import Protocol

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.problem import RewardInfluence


class KnownRewards(RewardInfluence, Protocol):
    """What θ does to the rewards, in numbers too: the leader's own doing, known to it."""

    def follower_part(self, theta: Floats) -> Floats:
        """What θ adds to r_F(s, a), shape (R, S, A)."""

    def leader_part(self, theta: Floats) -> Floats:
        """What θ adds to r_L(s, a), shape (R, S, A)."""

    def spread(self, scores: Floats, kept: float) -> Floats:
        """θ that acts on states in proportion to exp(score), and not at all by exp(`kept`).

        For scores of shape (N, S); shape (N, D).
        """


@dataclass(frozen=True, eq=False)
class IdentifiedProblem:
    """What `models.tabular.exact` asks of a problem, for candidates θ, shape (N, D), of one run.

    Attributes:
        planner: identified dynamics.
        known: what θ does to the rewards.
        follower_rest: the follower's reward beyond that, shape (S, A).
        leader_rest: the leader's reward beyond that, shape (S, A).
    """

    planner: TabularModel
    known: KnownRewards
    follower_rest: Floats
    leader_rest: Floats

    def follower_reward(self, theta: Floats) -> Floats:
        """r_F(s, a; θ), shape (N, S, A)."""
        return self.known.follower_part(theta) + self.follower_rest

    def leader_reward(self, theta: Floats) -> Floats:
        """r_L(s, a; θ), shape (N, S, A)."""
        return self.known.leader_part(theta) + self.leader_rest

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_F(s, a; θ), shape (N, D), for weights (N, S, A)."""
        return self.known.pull_back_follower_reward(theta, weights)

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_L(s, a; θ), shape (N, D), for weights (N, S, A)."""
        return self.known.pull_back_leader_reward(theta, weights)
