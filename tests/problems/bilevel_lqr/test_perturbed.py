"""The perturbed follower of BilevelLQR against the exact hypergradient."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient, lqr_leader_return
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.perturbed import PerturbedRegulator
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.games import generic_lqr

Floats = NDArray[np.float64]
PROBLEM = BilevelLQR.published()
THETA = np.array([[0.3, -0.5], [-5.0, -3.0], [-9.0, -9.0], [-9.683, -10.25]])


def quotient(theta: Floats, epsilon: Floats, two_sided: bool) -> tuple[Floats, Floats]:
    """The quotient with exact answers and means, and the truth, both (R, 2)."""
    follower = MaxEntropyLQR(PROBLEM, np.linspace(0.1, 0.15, len(theta)))
    estimator = PerturbedRegulator(PROBLEM, follower.temperature, epsilon, two_sided=two_sided)
    answer, streams = follower.respond(theta), Streams(range(len(theta)))
    found = estimator.estimate(theta, answer, estimator.start(streams), streams)
    assert found.env_steps == 0
    assert np.isnan(found.leader_return_sampled).all()
    truth = lqr_hypergradient(follower, theta, answer, PROBLEM.leader_discount)
    return found.gradient, truth.total


def length(vectors: Floats) -> Floats:
    norm: Floats = np.linalg.norm(vectors, axis=1)
    return norm


def test_error_of_a_two_sided_quotient() -> None:
    found, truth = quotient(THETA, np.full(4, 0.03), two_sided=True)
    assert (length(found - truth) < 0.01 * length(truth)).all()
    # Where the follower's part is more than a hundredth, a quotient without it would fail.
    found, truth = quotient(THETA[2:3], np.full(1, 0.003), two_sided=True)
    follower = MaxEntropyLQR(PROBLEM, np.full(1, 0.1))
    answer = follower.respond(THETA[2:3])
    indirect = lqr_hypergradient(follower, THETA[2:3], answer, 0.99).indirect
    assert length(indirect)[0] > 0.01 * length(truth)[0]
    assert length(found - truth)[0] < 0.001 * length(truth)[0]


@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
def test_error_vanishes_at_its_order(two_sided: bool, order: int) -> None:
    # Against a quotient with next to no pay, whose grids are as fine.
    limit, _ = quotient(THETA[2:], np.full(2, 1e-4), two_sided=True)
    large, small = (
        length(quotient(THETA[2:], np.full(2, each), two_sided)[0] - limit) for each in (0.02, 0.01)
    )
    np.testing.assert_allclose(large / small, 2.0**order, rtol=0.1)


def test_runs_may_differ_and_share() -> None:
    theta, epsilon = THETA[[2, 2, 1]], np.array([0.02, 0.01, 0.02])
    follower = MaxEntropyLQR(PROBLEM, np.full(3, 0.1))
    answer = follower.respond(theta)
    together = PerturbedRegulator(PROBLEM, follower.temperature, epsilon, 2).estimate(
        theta, answer, {}, Streams([4, 5, 6])
    )
    for run in range(3):
        one = slice(run, run + 1)
        own = MaxEntropyLQR(PROBLEM, np.full(1, 0.1))
        alone = PerturbedRegulator(PROBLEM, own.temperature, epsilon[one], 2).estimate(
            theta[one], own.respond(theta[one]), {}, Streams([4 + run])
        )
        np.testing.assert_array_equal(alone.indirect[0], together.indirect[run])


@pytest.mark.parametrize("two_sided", [True, False])
def test_sampled_means_are_those_of_exact_ones(two_sided: bool) -> None:
    runs, epsilon = 200, 0.01
    theta = np.tile(THETA[2:3], (runs, 1))
    follower = MaxEntropyLQR(PROBLEM, np.full(runs, 0.1))
    answer, shares = follower.respond(theta), np.full(runs, epsilon)
    (exact,), _ = quotient(THETA[2:3], np.full(1, epsilon), two_sided)
    (expected,) = lqr_leader_return(
        PROBLEM, theta, answer, PROBLEM.leader_discount
    )[:1]  # fmt: skip
    spread = []
    for common in (True, False):
        estimator = PerturbedRegulator(PROBLEM, follower.temperature, shares, 2, two_sided, common)
        found = estimator.estimate(theta, answer, {}, Streams(range(runs)))
        assert found.env_steps == 2 * 2 * 100
        off = found.gradient - exact
        along = found.gradient @ exact / (exact @ exact)
        # What an episode's end leaves out is a hundredth at most.
        assert abs(along.mean() - 1.0) < 0.01 + 4.0 * along.std() / np.sqrt(runs)
        if common:
            assert along.std() / np.sqrt(runs) < 0.005
        returns = found.leader_return_sampled
        # Off by O(ε) one-sided, by O(ε²) two-sided.
        assert abs(returns.mean() - expected) < 4.0 * returns.std() / np.sqrt(runs)
        spread.append(float(off.var(axis=0).sum()))
    assert spread[0] < 1e-2 * spread[1]  # common random numbers


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        quotient(THETA[:1], np.zeros(1), two_sided=True)
    other = generic_lqr()
    follower = MaxEntropyLQR(other, np.full(1, 0.1))
    theta = np.zeros((1, other.num_parameters))
    with pytest.raises(ValueError, match="reach 3 dimensions, with 2 follower's actions"):
        PerturbedRegulator(other, follower.temperature, np.full(1, 0.1)).estimate(
            theta, follower.respond(theta), {}, Streams([0])
        )
