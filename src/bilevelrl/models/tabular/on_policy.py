"""On-policy batches of a tabular problem, and the direct term that all its estimators share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import (
    Normalisation,
    count_visits,
    episode_weight,
    sampled_return,
    traced_weights,
)
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.rollout import Rollout

Floats = NDArray[np.float64]
Averaging = Literal["episodes", "every_visit"]


def direct_term(
    problem: TabularProblem,
    theta: Floats,
    batch: Batch,
    discount: float,
    *,
    averaging: Averaging = "episodes",
    normalisation: Normalisation = "started_episodes",
) -> Floats:
    """Estimate E[Σ_k γ^k ∇_θ r_L(s_k, a_k; θ)], shape (R, D).

    Args:
        problem: the bi-level problem.
        theta: leader parameters, shape (R, D).
        batch: transitions under the follower's policy.
        discount: γ_L.
        averaging: "episodes" averages over episodes; "every_visit" over all visits of the first
            state, each with its own return up to the next cut (released code).
        normalisation: what "episodes" divides by, see `episode_weight`.
    """
    planner = problem.planner
    shape = (len(theta), planner.num_states, planner.num_actions)
    per_time = episode_weight(batch, normalisation)
    if averaging == "every_visit":
        visits = count_visits(batch, shape, discount, per_time).number.sum(axis=2)
        injection = (planner.initial > 0.0) / np.maximum(1.0, visits)
        weights = traced_weights(
            batch, np.repeat(injection[:, :, None], shape[2], axis=2), discount
        )
    else:
        weights = discounted_visits(batch, shape, discount, per_time)
    return problem.pull_back_leader_reward(theta, weights)


def discounted_visits(
    batch: Batch, shape: tuple[int, ...], discount: float, per_time: Floats
) -> Floats:
    """Σ_k γ^k 1[(s_k, a_k) = (s, a)], averaged over episodes, shape (R, S, A).

    Args:
        batch: transitions.
        shape: (R, S, A).
        discount: γ.
        per_time: see `episode_weight`.
    """
    first_step = (np.arange(batch.state.shape[2]) == 0).astype(np.float64)
    ones = np.ones(shape)
    return traced_weights(batch, ones, discount, by_time=first_step, visit_weight=per_time)


@dataclass(frozen=True, eq=False)
class OnPolicy:
    """How an estimator samples, and how it averages what it sampled.

    Attributes:
        problem: the bi-level problem.
        rollout: how batches are drawn.
        discount: γ, of leader and follower alike.
        averaging: see `direct_term`.
        normalisation: see `episode_weight`.
    """

    problem: TabularProblem
    rollout: Rollout
    discount: float
    averaging: Averaging = "episodes"
    normalisation: Normalisation = "started_episodes"

    @property
    def shape(self) -> tuple[int, int]:
        """(S, A)."""
        return self.problem.planner.num_states, self.problem.planner.num_actions

    def sample(self, policy: Floats, streams: Streams) -> Batch:
        """A batch under the follower's policy π(a | s), shape (R, S, A)."""
        return self.rollout.sample(policy, streams)

    def estimate(
        self, theta: Floats, batch: Batch, indirect: Floats, oracle_steps: int = 0
    ) -> Estimate:
        """The estimate of dJ/dθ from an indirect part, shape (R, D), and the batch it came from."""
        problem, discount = self.problem, self.discount
        direct = direct_term(
            problem, theta, batch, discount,
            averaging=self.averaging, normalisation=self.normalisation,
        )  # fmt: skip
        return Estimate(
            direct,
            indirect,
            sampled_return(batch, problem.leader_reward(theta), discount),
            env_steps=self.rollout.env_steps,
            oracle_steps=oracle_steps,
        )
