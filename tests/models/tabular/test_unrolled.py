"""The unrolled follower of FourRooms: finite differences, a derivation by hand, its limit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.exact import exact_hypergradient, leader_return
from bilevelrl.models.tabular.model import action_values
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.unrolled import Start, UnrolledAgent, unrolled
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms()
BETA = np.array([0.003, 0.02])
THETA = np.stack([np.sin(np.arange(105.0)), np.random.default_rng(0).standard_normal(105)])


def solved() -> BestResponse:
    follower = SoftPolicyIteration(PROBLEM.planner, BETA, 1e-12, 60)
    return follower.respond(PROBLEM.follower_reward(THETA), follower.start(2))


def swept(theta: Floats, sweeps: int, start: Floats) -> Floats:
    """π_K of as many sweeps, written out."""
    reward, value = PROBLEM.follower_reward(theta), start
    beta = BETA[:, None, None]
    for _ in range(sweeps):
        later = np.einsum("sak,rsk->rsa", PROBLEM.planner.probability,
                          value[:, PROBLEM.planner.successor])  # fmt: skip
        table = reward + PROBLEM.planner.discount[:, None] * later
        top = table.max(axis=2, keepdims=True)
        policy = np.exp((table - top) / beta)
        total = policy.sum(axis=2, keepdims=True)
        value = (top + beta * np.log(total))[..., 0]
        policy /= total
    checked: Floats = policy
    return checked


@pytest.mark.parametrize("start", ["answer", "zero"])
@pytest.mark.parametrize("sweeps", [1, 2, 7, 40])
def test_agrees_with_finite_differences_through_the_sweeps(sweeps: int, start: Start) -> None:
    first = solved().value if start == "answer" else np.zeros((2, 104))

    def reached(theta: Floats) -> Floats:
        return leader_return(PROBLEM, theta, swept(theta, sweeps, first))

    found = unrolled(PROBLEM, THETA, BETA, np.full(2, sweeps), first)
    np.testing.assert_allclose(found.leader_return, reached(THETA), rtol=1e-12)
    direction = np.random.default_rng(4).standard_normal((2, 105))
    for along in (direction, np.sign(direction)):
        step = 1e-5 * along
        slope = (reached(THETA + step) - reached(THETA - step)) / 2e-5
        expected = ((found.direct + found.indirect) * along).sum(axis=1)
        np.testing.assert_allclose(expected, slope, rtol=2e-5, atol=1e-9)


def test_one_sweep_is_the_covariance_of_the_next_choice() -> None:
    answer, runs = solved(), len(BETA)
    quality = action_values(PROBLEM.planner, answer.policy, PROBLEM.leader_reward(THETA))
    advantage = quality - (answer.policy * quality).sum(axis=2, keepdims=True)
    chain = np.einsum("rsa,sat->rst", answer.policy, PROBLEM.planner.transition)
    chain = PROBLEM.planner.discount[:, None] * chain
    first = np.tile(PROBLEM.planner.initial, (runs, 1))[..., None]
    visits = np.linalg.solve((np.eye(104) - chain).transpose(0, 2, 1), first)
    by_hand = visits * answer.policy * advantage / BETA[:, None, None]
    found = unrolled(PROBLEM, THETA, BETA, np.ones(2, dtype=np.int64), answer.value)
    np.testing.assert_allclose(
        found.indirect, PROBLEM.pull_back_follower_reward(THETA, by_hand), atol=1e-12
    )


@pytest.mark.parametrize(("start", "sweeps"), [("answer", 3000), ("zero", 3000)])
def test_many_sweeps_are_the_exact_hypergradient(start: Start, sweeps: int) -> None:
    answer = solved()
    truth = exact_hypergradient(PROBLEM, THETA, answer.policy, BETA)
    off = []
    for number in (10, sweeps):
        estimator = UnrolledAgent(PROBLEM, BETA, np.full(2, number), start)
        streams = Streams([0, 1])
        found = estimator.estimate(THETA, answer, estimator.start(streams), streams)
        off.append(np.linalg.norm(found.gradient - truth.total, axis=1))
        assert found.env_steps == 0
    norm = np.linalg.norm(truth.total, axis=1)
    assert (off[0] > 0.01 * norm).all()
    assert (off[1] < 1e-6 * norm).all()


def test_runs_may_differ_in_their_sweeps() -> None:
    start, sweeps = solved().value, np.array([1, 5])
    both = unrolled(PROBLEM, THETA, BETA, sweeps, start)
    for run in range(2):
        alike = unrolled(PROBLEM, THETA, BETA, np.full(2, sweeps[run]), start)
        np.testing.assert_array_equal(both.indirect[run], alike.indirect[run])


def test_refuses_no_sweep() -> None:
    with pytest.raises(ValueError, match="sweeps = 0 of run 1: at least 1 is needed"):
        unrolled(PROBLEM, THETA, BETA, np.array([1, 0]), np.zeros((2, 104)))
