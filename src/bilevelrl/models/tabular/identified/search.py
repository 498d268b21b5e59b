"""Looking for the best θ in an identified model, which is exact and costs no transitions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.models.tabular.climb import climb
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.identified.game import IdentifiedProblem, KnownRewards
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration

#: Candidates that are kept from one plan to the next.
POOL = 6
#: How much they differ at least, see `unlike`.
APART = 0.1
#: Score of the one state that a start of the search acts on; the others have 0.
START_HEIGHT = 4.0
#: Accuracy of best responses to candidates, in units of reward.
TOLERANCE = 1e-6
MAX_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class Pool:
    """The best candidates so far, the best first.

    Attributes:
        theta: shape (N, D), N at least 1.
        predicted: their J in the identified model, shape (N,).
    """

    theta: Floats
    predicted: Floats


def follower_of(problem: IdentifiedProblem, temperature: float, number: int) -> SoftPolicyIteration:
    """The best response to `number` candidates in the identified model."""
    return SoftPolicyIteration(
        problem.planner, np.full(number, temperature), TOLERANCE, MAX_ITERATIONS
    )


def hypergradient(problem: IdentifiedProblem, theta: Floats, temperature: float) -> Hypergradient:
    """Exact in the identified model, at θ, shape (N, D)."""
    follower = follower_of(problem, temperature, len(theta))
    answer = follower.respond(problem.follower_reward(theta), follower.start(len(theta)))
    return exact_hypergradient(problem, theta, answer.policy, follower.temperature)


def unlike(parts: Floats, part: Floats) -> Floats:
    """How much of what θ does to the follower's rewards another one does not do, 0 to 1.

    For what they add, shapes (N, S, A) and (S, A); shape (N,).
    """
    gap = np.abs(parts - part).sum(axis=(1, 2))
    both = np.abs(parts).sum(axis=(1, 2)) + np.abs(part).sum()
    share: Floats = gap / np.maximum(both, np.finfo(np.float64).tiny)
    return share


def distinct(pool: Pool, known: KnownRewards, size: int, apart: float) -> Pool:
    """At most `size` of them, the best first, each by `apart` `unlike` those before it."""
    parts = known.follower_part(pool.theta)
    chosen: list[int] = []
    for number in np.argsort(-pool.predicted, kind="stable").tolist():
        if not chosen or unlike(parts[chosen], parts[number]).min() > apart:
            chosen.append(number)
        if len(chosen) == size:
            break
    return Pool(pool.theta[chosen], pool.predicted[chosen])


def _climbed(
    problem: IdentifiedProblem, starts: Floats, temperature: float, updates: int,
    first: float, last: float,
) -> Pool:  # fmt: skip
    theta, best = climb(
        problem, follower_of(problem, temperature, len(starts)), starts, num_updates=updates,
        first_step_size=first, last_step_size=last,
    )  # fmt: skip
    return Pool(theta, best)


def search(
    problem: IdentifiedProblem, pool: Floats, visited: NDArray[np.bool_], temperature: float
) -> Pool:
    """Climb from every state that θ could act on, and from the pool, shape (N, D)."""
    (states,) = np.nonzero(visited)
    scores = START_HEIGHT * np.eye(len(visited))[states]
    starts = problem.known.spread(scores, 0.0)
    found = distinct(_climbed(problem, starts, temperature, 60, 0.3, 0.1), problem.known, 12, APART)
    starts = np.concatenate([found.theta, pool])
    return distinct(
        _climbed(problem, starts, temperature, 150, 0.2, 0.01), problem.known, POOL, APART
    )


def refine(problem: IdentifiedProblem, pool: Floats, temperature: float) -> Pool:
    """Climb on from the pool, shape (N, D)."""
    found = _climbed(problem, pool, temperature, 25, 0.05, 0.01)
    return distinct(found, problem.known, POOL, APART)
