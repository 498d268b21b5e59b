"""What estimators, followers and the training loop may ask of a problem."""

from typing import Protocol

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.model import TabularModel


class RewardInfluence(Protocol):
    """What θ does to the rewards: all that a leader has to know of what it designs.

    The members are transposed Jacobian products: Σ_sa w(s, a) ∇_θ r(s, a; θ) for given weights w,
    which is all that an estimator needs to turn coefficients into a gradient.
    """

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_F(s, a; θ), shape (R, D), for weights (R, S, A)."""

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ r_L(s, a; θ), shape (R, D), for weights (R, S, A)."""


class RewardModel(RewardInfluence, Protocol):
    """max_θ J(θ) = E[Σ_t γ^t r_L(s_t, a_t; θ)], a_t ~ π*_θ, the follower's soft-optimal policy.

    θ acts through the two reward tables only. R runs are stacked along the first axis.
    """

    @property
    def planner(self) -> TabularModel:
        """The process in which the follower plans and J is defined."""

    def follower_reward(self, theta: Floats) -> Floats:
        """r_F(s, a; θ), shape (R, S, A)."""

    def leader_reward(self, theta: Floats) -> Floats:
        """r_L(s, a; θ), shape (R, S, A)."""


class TabularProblem(RewardModel, Protocol):
    """A model of rewards with what produces samples."""

    @property
    def simulator(self) -> TabularModel:
        """The process that produces samples; equals `planner` unless a quirk separates them."""

    @property
    def max_episode_steps(self) -> int:
        """Transitions after which an episode is truncated."""

    @property
    def num_parameters(self) -> int:
        """D."""

    def initial_parameters(self, normals: Floats, spread: Floats) -> Floats:
        """θ at the start, shape (R, D), from standard normals (R, D) and a spread per run (R,)."""
