"""Naive-PGD: the direct term alone, as if the follower did not react. Also used by all others."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
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


class BatchEstimator(Protocol):
    """What every estimator that draws batches knows; read-only."""

    @property
    def problem(self) -> TabularProblem: ...  # noqa: D102

    @property
    def rollout(self) -> Rollout: ...  # noqa: D102

    @property
    def discount(self) -> float: ...  # noqa: D102

    @property
    def averaging(self) -> Averaging: ...  # noqa: D102

    @property
    def normalisation(self) -> Normalisation: ...  # noqa: D102


def add_direct_term(
    estimator: BatchEstimator, theta: Floats, batch: Batch, indirect: Floats, oracle_steps: int = 0
) -> Estimate:
    """The estimate of dJ/dθ from an indirect part, shape (R, D), and the batch it came from."""
    problem, discount = estimator.problem, estimator.discount
    direct = direct_term(
        problem, theta, batch, discount,
        averaging=estimator.averaging, normalisation=estimator.normalisation,
    )  # fmt: skip
    return Estimate(
        direct,
        indirect,
        sampled_return(batch, problem.leader_reward(theta), discount),
        env_steps=estimator.rollout.env_steps,
        oracle_steps=oracle_steps,
    )


@dataclass(frozen=True, eq=False)
class Naive:
    """dJ/dθ ≈ the direct term. Biased wherever the follower's response matters.

    Attributes:
        problem: the bi-level problem.
        rollout: how batches are drawn.
        discount: γ_L.
        averaging: of the direct term, see `direct_term`.
        normalisation: of the direct term, see `episode_weight`.
    """

    problem: TabularProblem
    rollout: Rollout
    discount: float
    averaging: Averaging = "episodes"
    normalisation: Normalisation = "started_episodes"

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate the direct term from one batch."""
        del memory
        batch = self.rollout.sample(response.policy, streams)
        return add_direct_term(self, theta, batch, np.zeros_like(theta))
