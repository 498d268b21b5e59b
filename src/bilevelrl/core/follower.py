"""The follower's answer to the leader, for a batch of runs."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.seeding import Streams


class NotConverged(RuntimeError):
    """A solver missed its tolerance; going on would silently bias every hypergradient."""


class FollowerDiverged(RuntimeError):
    """A learning follower met NaN or an exploding loss; nothing can be estimated from it."""


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What a tabular follower plays, and how far that is from its optimum.

    Where the leader acts too, the follower observes its action: a state s is then a pair of a state
    and a leader action, in two axes.

    Attributes:
        policy: π(a | s), shape (R, S, A), or (R, S, leader actions, A).
        value: soft value V_F(s) that the policy was derived from, shape (R, S), or
            (R, S, leader actions).
        accuracy: certified bound on max_s |V_F(s) - V*_F(s)|, shape (R,).
        iterations: policy-improvement steps used, shape (R,).
        steps: transitions that each run's follower learned this answer from; 0 of solvers.
    """

    policy: Floats
    value: Floats
    accuracy: Floats
    iterations: Index
    steps: int = 0


def policy_kl(policy: Floats, reference: Floats) -> Floats:
    """Mean over states of Σ_a π (log(π + ε) - log(π_ref + ε)), ε = 1e-16, shape (R,)."""
    ratio = np.log(policy + 1e-16) - np.log(reference + 1e-16)
    kl: Floats = (policy * ratio).sum(axis=2).mean(axis=1)
    return np.maximum(kl, 0.0)  # rounding can leave -1e-18


def soft_bonus(policy: Floats, temperature: Floats) -> Floats:
    """-β log π, 0 for actions that are never played, in the shape of π, which β fits."""
    played = np.where(policy > 0.0, policy, 1.0)
    bonus: Floats = -temperature * np.log(played)
    return bonus


class Certified(Protocol):
    """Any follower's answer, as the training loop sees it; read-only."""

    @property
    def accuracy(self) -> Floats:
        """Certified bound on the error of V_F, shape (R,)."""

    @property
    def steps(self) -> int:
        """Transitions that each run's follower learned this answer from; 0 of solvers."""


#: What a follower answers with; each family of problems has its own.
Response = TypeVar("Response", bound=Certified)
Response_co = TypeVar("Response_co", bound=Certified, covariant=True)


class Follower(Protocol):
    """Answers the leader. Whatever it carries from one answer to the next lives in `memory`."""

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Memory before the first answer, one row per run."""

    def respond(self, reward: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Answer rewards r_F(s, a; θ), shape (R, S, A); updates `memory` in place."""
