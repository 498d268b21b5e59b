"""The perturbed follower of thermal control against the exact hypergradient."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.exact import thermal_hypergradient
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.perturbed import (
    PerturbedRegulator,
    largest_epsilon,
    paid_answer,
)
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalRollout

Floats = NDArray[np.float64]
PROBLEM = ThermalControl.published()
THETA = np.concatenate([np.zeros((1, 8)), np.random.default_rng(0).standard_normal((3, 8))])
#: Of ε: where a charged follower's energy is free, .01 / .5.
UNIT = 0.02


def errors(epsilon: Floats, two_sided: bool, theta: Floats = THETA) -> Floats:
    """Relative ones with exact answers and means, shape (R,)."""
    follower = ThermalRegulator(PROBLEM, np.linspace(0.1, 0.2, len(theta)))
    estimator = PerturbedRegulator(PROBLEM, None, follower, epsilon, two_sided)
    streams, answer = Streams(range(len(theta))), follower.respond(theta)
    found = estimator.estimate(theta, answer, estimator.start(streams), streams)
    assert found.env_steps == 0
    assert np.isnan(found.leader_return_sampled).all()
    truth = thermal_hypergradient(follower, theta, answer).total
    relative: Floats = np.linalg.norm(found.gradient - truth, axis=1)
    return relative / np.linalg.norm(truth, axis=1)


def test_error_of_a_two_sided_quotient() -> None:
    assert (errors(np.full(4, 0.03 * UNIT), two_sided=True) < 0.02).all()


@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
def test_error_vanishes_at_its_order(two_sided: bool, order: int) -> None:
    large, small = (errors(np.full(1, each), two_sided, THETA[:1]) for each in (0.01, 0.005))
    np.testing.assert_allclose(large / small, 2.0**order, rtol=0.1)


def test_runs_may_differ_in_their_payments() -> None:
    together = errors(np.array([0.008, 0.004, 0.008, 0.002]), two_sided=True)
    assert together[0] > 3.0 * errors(np.full(4, 0.004), two_sided=True)[0]
    np.testing.assert_array_equal(together[1], errors(np.full(4, 0.004), two_sided=True)[1])


def test_pay_of_nothing_changes_nothing() -> None:
    follower = ThermalRegulator(PROBLEM, np.full(4, 0.1))
    paid, plain = paid_answer(PROBLEM, follower, THETA, 0.0), follower.respond(THETA)
    np.testing.assert_array_equal(paid.gain, plain.gain)
    charged = paid_answer(PROBLEM, follower, THETA, -0.01)
    assert (np.abs(charged.gain) > 0.0).all()
    assert np.linalg.norm(charged.gain - plain.gain) > 0.01


@pytest.mark.parametrize("two_sided", [True, False])
def test_sampled_means_are_those_of_exact_ones(two_sided: bool) -> None:
    runs, theta = 200, np.tile(THETA[:1], (200, 1))
    follower = ThermalRegulator(PROBLEM, np.full(runs, 0.1))
    answer, share = follower.respond(theta), np.full(runs, 0.004)

    def estimate(rollout: ThermalRollout | None, common: bool) -> Floats:
        estimator = PerturbedRegulator(PROBLEM, rollout, follower, share, two_sided, common)
        found = estimator.estimate(theta, answer, {}, Streams(range(runs)))
        if rollout is not None:
            assert found.env_steps == 2 * 20 * 100
            assert np.isfinite(found.leader_return_sampled).all()
        return found.gradient

    rollout, spread = ThermalRollout(PROBLEM, 20), []
    exact = estimate(None, True)[0]
    for common in (True, False):
        found = estimate(rollout, common)
        off = found - exact
        score = np.abs(off.mean(axis=0)) / off.std(axis=0) * np.sqrt(runs)
        assert score.max() < 4.0
        spread.append(float(off.var(axis=0).sum()))
        if common:  # then the mean is known well enough to miss nothing
            along = found @ exact / (exact @ exact)
            error = along.std() / np.sqrt(runs)
            assert error < 0.02
            assert abs(along.mean() - 1.0) < 4.0 * error
    assert spread[0] < 1e-4 * spread[1]  # common random numbers


def test_refusals() -> None:
    assert largest_epsilon(PROBLEM) == pytest.approx(UNIT)
    idle = ThermalControl.published(energy_weight=0.0, stability_weight=0.0)
    assert largest_epsilon(idle) == np.inf
    comfort = ThermalControl.published(energy_weight=0.0)
    assert 4.0 < largest_epsilon(comfort) < 32.0  # Q between 1 and 8, the spread's matrix 1/4
    with pytest.raises(ValueError, match=r"epsilon = 0\.02 must be below 0\.02, where a charged"):
        errors(np.full(4, UNIT), two_sided=True)
    assert (errors(np.full(4, UNIT), two_sided=False) < 0.1).all()  # nobody is charged
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        errors(np.zeros(4), two_sided=True)
