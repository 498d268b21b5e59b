"""The dynamics, as identified from counted transitions.

P(s' | s, a) has a Dirichlet posterior. Its prior is structured: with probability w an action does
what is its own, m(s, a), and otherwise something happens that does not depend on the action,

    prior(s' | s, a) = w Pr[m(s, a) = s'] + (1 - w) u(s' | s).

m is not known where an action was tried a few times: it has a posterior, under a prior by which two
actions rarely do the same, so that a mean field of the other actions tells what is left for one.
What happens otherwise is, before it is seen, what one of the actions does, drawn uniformly: u has a
Dirichlet prior about that. w, m and u are fitted to the counts by expectation maximisation, and the
strengths of both priors, in transitions, by the likelihood that the counts have once P, and u, are
integrated out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.elimination import Places
from bilevelrl.models.tabular.model import TabularModel, tabular_model

#: Strengths of the prior to choose from, in transitions.
STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 1e5, 1e6)
#: Prior probability that an action does not do what another one does.
_DISTINCT = 0.99
#: Part of what happens otherwise that may be anything that was seen.
_ANYTHING = 0.005


class SeenTransitions(NamedTuple):
    """What one leader has counted.

    Attributes:
        moves: transitions from s by a to s', shape (S, A, S).
        ends: whether an episode was seen to end in s, shape (S,).
        initial: share of episodes that started in s, shape (S,).
    """

    moves: Floats
    ends: Floats
    initial: Floats


@dataclass(frozen=True, eq=False)
class IdentifiedKernel:
    """A posterior over the dynamics.

    Attributes:
        model: posterior mean; what was never tried stays where it is.
        times: how often (s, a) was tried, shape (S, A).
        strength: κ.
    """

    model: TabularModel
    times: Floats
    strength: float


def seen_successors(moves: Floats) -> Places:
    """The states seen to follow each state, filled up with the state itself, shape (S, K)."""
    reached = moves.sum(axis=1) > 0.0
    most = max(1, int(reached.sum(axis=1).max()))
    successor = np.repeat(np.arange(len(reached), dtype=np.int32)[:, None], most, axis=1)
    for s, row in enumerate(reached):
        (others,) = np.nonzero(row)
        successor[s, : len(others)] = others
    return successor


def _normalised(weights: Floats) -> Floats:
    """Weights that sum to 1 along the last axis."""
    share: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return share


def structured_prior(counts: Floats, sweeps: int = 25) -> Floats:
    """prior(s' | s, a) of counts (S, A, K), fitted by expectation maximisation; shape (S, A, K)."""
    from_state = counts.sum(axis=1)
    known = from_state.sum(axis=1, keepdims=True) > 0.0
    possible = np.where((from_state > 0.0) | ~known, 1.0, 0.0)
    anything = _normalised(possible)
    main = np.repeat(anything[:, None, :], counts.shape[1], axis=1)
    other, share, total = anything, 0.5, max(1.0, float(counts.sum()))
    for _ in range(sweeps):
        main = 0.5 * main + 0.5 * _mains(counts, possible, share, other, main)
        guess = (1.0 - _ANYTHING) * main.mean(axis=1) + _ANYTHING * anything
        by_main = counts * main * (share / (share + (1.0 - share) * other[:, None, :]))
        share = float(by_main.sum()) / total
        rest = (counts - by_main).sum(axis=1)
        strength = max(STRENGTHS, key=lambda each: log_evidence(rest, guess, each))
        other = (rest + strength * guess) / (rest.sum(axis=1, keepdims=True) + strength)
    return _normalised(share * main + (1.0 - share) * other[:, None, :])


def _mains(
    counts: Floats, possible: Floats, share: float, other: Floats, last: Floats
) -> Floats:  # fmt: skip
    """Probability that s' is what (s, a) does most, shape (S, A, K), given those of other actions.

    Args:
        counts: shape (S, A, K).
        possible: 1 for successors that were seen, shape (S, K).
        share: w.
        other: u, shape (S, K).
        last: the probabilities so far, shape (S, A, K).
    """
    unlike = np.log1p(-_DISTINCT * last)
    odds = np.log1p(share / np.maximum((1.0 - share) * other, np.finfo(np.float64).tiny))
    score = counts * odds[:, None, :] + unlike.sum(axis=1, keepdims=True) - unlike
    score = np.where(possible[:, None, :] > 0.0, score, -np.inf)
    return _normalised(np.exp(score - score.max(axis=2, keepdims=True)))


def log_evidence(counts: Floats, prior: Floats, strength: float) -> float:
    """Log likelihood of counts (..., K) with P ~ Dirichlet(κ prior) integrated out."""
    alpha = strength * prior
    counted = counts > 0.0
    of_moves = gammaln(alpha[counted] + counts[counted]) - gammaln(alpha[counted])
    tried = counts.sum(axis=-1)
    of_tries = gammaln(strength) - gammaln(strength + tried)
    return float(of_moves.sum() + of_tries.sum())


def identify(seen: SeenTransitions, discount: float) -> IdentifiedKernel:
    """The posterior after what was counted; γ = `discount` wherever no episode ended."""
    successor = seen_successors(seen.moves)
    once = np.zeros(successor.shape, dtype=bool)  # what fills up counts nothing
    for s, row in enumerate(successor):
        once[s, np.unique(row, return_index=True)[1]] = True
    counts = np.take_along_axis(seen.moves, successor[:, None, :], axis=2) * once[:, None, :]
    prior = structured_prior(counts)
    strength = max(STRENGTHS, key=lambda each: log_evidence(counts, prior, each))
    tried = counts.sum(axis=2)
    probability = (counts + strength * prior) / (tried + strength)[:, :, None]
    probability /= probability.sum(axis=2, keepdims=True)
    unknown = seen.moves.sum(axis=(1, 2)) == 0.0
    discounts = np.where(unknown | (seen.ends > 0.0), 0.0, discount)
    model = tabular_model(successor, probability, discounts, seen.initial)
    return IdentifiedKernel(model, tried, strength)
