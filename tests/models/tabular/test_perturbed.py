"""The perturbed follower of FourRooms against the exact hypergradient."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.perturbed import ExactWatch, PerturbedAgent, SampledWatch, Watch
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms()
#: The indirect part is small at the first two, and nearly all of dJ/dθ at the last two.
THETA = np.stack([
    np.zeros(105), np.sin(np.arange(105.0)),
    3.0 * np.random.default_rng(237).standard_normal(105),
    6.0 * np.random.default_rng(189).standard_normal(105),
])  # fmt: skip
BETA = 0.003
#: Of ε: β over the leader's largest reward, for the answer is a softmax of (Q_F + ε Q_L) / β.
UNIT = BETA / 1.0


def planner(runs: int) -> SoftPolicyIteration:
    return SoftPolicyIteration(PROBLEM.planner, np.full(runs, BETA), 1e-12, 60)


def solved(theta: Floats) -> BestResponse:
    follower = planner(len(theta))
    return follower.respond(PROBLEM.follower_reward(theta), follower.start(len(theta)))


def errors(epsilon: float, two_sided: bool) -> Floats:
    """Relative ones with exact answers and means, shape (R,)."""
    runs, answer, streams = len(THETA), solved(THETA), Streams(range(len(THETA)))
    estimator = PerturbedAgent(
        ExactWatch(PROBLEM), planner(runs), np.full(runs, epsilon), two_sided
    )
    found = estimator.estimate(THETA, answer, estimator.start(streams), streams)
    assert found.env_steps == 0
    truth = exact_hypergradient(PROBLEM, THETA, answer.policy, np.full(runs, BETA))
    off = np.linalg.norm(found.direct - truth.direct, axis=1)
    assert (off < 0.05 * np.linalg.norm(truth.total, axis=1)).all()
    norm = np.linalg.norm(truth.total, axis=1)
    relative: Floats = np.linalg.norm(found.gradient - truth.total, axis=1) / norm
    return relative


def test_error_of_a_two_sided_quotient() -> None:
    assert (errors(0.03 * UNIT, two_sided=True) < 0.001).all()
    assert (errors(0.7 * UNIT, two_sided=True) < 0.02).all()


def test_a_payment_may_be_small_in_one_place_and_large_in_another() -> None:
    found = errors(0.01, two_sided=True)
    assert (found[:2] < 0.002).all()
    assert found[3] > 0.3


@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
def test_error_vanishes_at_its_order(two_sided: bool, order: int) -> None:
    large, small = errors(2e-4, two_sided), errors(1e-4, two_sided)
    np.testing.assert_allclose(large / small, 2.0**order, rtol=0.02)


@pytest.mark.parametrize("two_sided", [True, False])
def test_sampled_means_are_those_of_exact_ones(two_sided: bool) -> None:
    runs, epsilon = 400, 0.003
    theta = np.tile(THETA[2], (runs, 1))
    answer, follower = solved(theta), planner(runs)
    shares = np.full(runs, epsilon)

    def estimate(watch: Watch) -> Floats:
        streams = Streams(range(runs))
        estimator = PerturbedAgent(watch, follower, shares, two_sided)
        found = estimator.estimate(theta, answer, estimator.start(streams), streams)
        assert found.env_steps == 2 * watch.env_steps
        assert np.isnan(found.leader_return_sampled).all() == (watch.env_steps == 0)
        return found.gradient

    exact = estimate(ExactWatch(PROBLEM))[0]
    # One long environment: nearly all of its episodes end by themselves.
    rollout = Rollout(PROBLEM.simulator, 1, 1000, PROBLEM.max_episode_steps)
    sampling = OnPolicy(PROBLEM, rollout, PROBLEM.discount)
    spread = []
    for common in (True, False):
        off = estimate(SampledWatch(sampling, common)) - exact
        direction = exact / np.linalg.norm(exact)
        along = off @ direction
        assert abs(along.mean()) < 4.0 * along.std() / np.sqrt(runs) + 0.05 * (exact @ direction)
        spread.append(float(off.var(axis=0).sum()))
    assert spread[0] < 0.7 * spread[1]  # common random numbers


def test_both_answers_see_the_same_numbers() -> None:
    theta, answer = THETA[:1], solved(THETA[:1])
    rollout = Rollout(PROBLEM.simulator, 2, 50, PROBLEM.max_episode_steps)
    watch = SampledWatch(OnPolicy(PROBLEM, rollout, PROBLEM.discount))
    first, second = watch.see(theta, [answer.policy, answer.policy], Streams([3]))
    np.testing.assert_array_equal(first.visits, second.visits)


def test_refuses_a_payment_of_nothing() -> None:
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        errors(0.0, two_sided=True)
