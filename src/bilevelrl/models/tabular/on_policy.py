"""On-policy batches of a tabular problem, and the direct term that all its estimators share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.trace import (
    Normalisation,
    count_visits,
    episode_weight,
    sampled_return,
    traced_weights,
)
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.rollout import Rollout

#: "episodes" averages over episodes. "every_visit" (released code) averages the direct term over
#: all visits of the first state, each with its own return up to the next cut, and pairs an A_L with
#: the mean of what followed over all visits of its (s, a).
Averaging = Literal["episodes", "every_visit"]


def discounted_visits(
    batch: Batch, shape: tuple[int, ...], discount: float, per_time: Floats
) -> Floats:
    """Σ_k γ^k 1[(s_k, a_k) = (s, a)], averaged over episodes with `episode_weight`, (R, S, A)."""
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
        averaging: of both terms.
        normalisation: what "episodes" divides by, see `episode_weight`.
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

    def direct_term(self, theta: Floats, batch: Batch) -> Floats:
        """Estimate E[Σ_k γ^k ∇_θ r_L(s_k, a_k; θ)], shape (R, D)."""
        shape = (len(theta), *self.shape)
        per_time = episode_weight(batch, self.normalisation)
        if self.averaging == "every_visit":
            visits = count_visits(batch, shape, self.discount, per_time).number.sum(axis=2)
            injection = (self.problem.planner.initial > 0.0) / np.maximum(1.0, visits)
            every_action = np.repeat(injection[:, :, None], shape[2], axis=2)
            weights = traced_weights(batch, every_action, self.discount)
        else:
            weights = discounted_visits(batch, shape, self.discount, per_time)
        return self.problem.pull_back_leader_reward(theta, weights)

    def estimate(
        self, theta: Floats, batch: Batch, indirect: Floats, oracle_steps: int = 0
    ) -> Estimate:
        """The estimate of dJ/dθ from an indirect part, shape (R, D), and the batch it came from."""
        return Estimate(
            self.direct_term(theta, batch),
            indirect,
            sampled_return(batch, self.problem.leader_reward(theta), self.discount),
            env_steps=self.rollout.env_steps,
            oracle_steps=oracle_steps,
        )
