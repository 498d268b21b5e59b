"""AMD: one sweep is that of the tables written out, and its fixed point the exact hypergradient."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.amd import AMD
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.model import TabularModel, tabular_model
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms, SlipKernels
from tests.models.tabular.literal_estimators import (
    TEMPERATURES,
    action_problem,
    four_rooms_jacobians,
)

Floats = NDArray[np.float64]
STREAMS = Streams([0, 1, 2])
THETA = np.random.default_rng(4).standard_normal((3, 105))


def best_response(problem: FourRooms, theta: Floats) -> BestResponse:
    follower = SoftPolicyIteration(problem.planner, TEMPERATURES[: len(theta)], 1e-12, 100)
    return follower.respond(problem.follower_reward(theta), follower.start(len(theta)))


@dataclass(eq=False)
class Tables:
    """Of one run, as the recursion is written: gradients of every state and action."""

    follower: Floats  # (S, A)
    follower_gradient: Floats  # (S, A, D)
    leader: Floats
    leader_gradient: Floats

    def sweep(
        self,
        problem: FourRooms,
        theta: Floats,
        temperature: float,
        jacobians: tuple[Floats, Floats],
    ) -> None:
        old = (self.follower, self.follower_gradient, self.leader, self.leader_gradient)
        kernel, discount = problem.planner.transition, problem.planner.discount
        policy = self.policy(temperature)
        entropy = -(policy * np.log(policy)).sum(axis=1)
        means = [np.einsum("sa,sa...->s...", policy, table) for table in old]
        means[0] = means[0] + temperature * entropy
        gain = np.einsum(
            "sa,sad->sad", old[2] - means[2][:, None], old[1] - means[1][:, None]
        ) / temperature  # fmt: skip
        sources = (
            problem.follower_reward(theta[None])[0], jacobians[0],
            problem.leader_reward(theta[None])[0], jacobians[1] + gain,
        )  # fmt: skip
        self.follower, self.follower_gradient, self.leader, self.leader_gradient = (
            source + np.einsum("s,sat,t...->sa...", discount, kernel, mean)
            for source, mean in zip(sources, means, strict=True)
        )

    def policy(self, temperature: float) -> Floats:
        weights = np.exp((self.follower - self.follower.max(axis=1)[:, None]) / temperature)
        return np.asarray(weights / weights.sum(axis=1)[:, None])

    def estimates(self, temperature: float) -> Floats:
        return np.einsum("sa,sad->sd", self.policy(temperature), self.leader_gradient)


def first_tables(problem: FourRooms, theta: Floats, value: Floats) -> Tables:
    model = problem.planner
    later = np.einsum("s,sat,t->sa", model.discount, model.transition, value)
    shape = (model.num_states, model.num_actions)
    follower = problem.follower_reward(theta[None])[0] + later
    zeros = np.zeros((*shape, len(theta)))
    return Tables(follower, zeros, np.zeros(shape), zeros)


def test_sweeps_are_those_of_the_tables_written_out() -> None:
    problem = FourRooms(slip_kernels="published")
    answer = best_response(problem, THETA)
    literal = [first_tables(problem, *each) for each in zip(THETA, answer.value, strict=True)]
    estimator = AMD(problem, TEMPERATURES, 12)
    memory = estimator.start(STREAMS)
    for update in range(4):  # tables of one θ go on at the next
        theta = THETA + 0.3 * update * np.cos(np.arange(105.0))
        found = estimator.estimate(theta, answer, memory, STREAMS).gradient
        follower, leader = four_rooms_jacobians(theta)
        for run, tables in enumerate(literal):
            for _ in range(12):
                tables.sweep(problem, theta[run], TEMPERATURES[run], (follower[run], leader[run]))
            expected = tables.estimates(TEMPERATURES[run])
            scale = 1e-12 * np.abs(expected).max()
            np.testing.assert_allclose(memory["gradient"][run], expected, rtol=0.0, atol=scale)
            np.testing.assert_array_equal(found[run], memory["gradient"][run, problem.start])
            np.testing.assert_allclose(memory["leader"][run], tables.leader, rtol=0.0, atol=1e-13)
    assert np.abs(found).max() > 1e-6


@pytest.mark.parametrize("kernels", ["published", "corrected"])
def test_the_fixed_point_is_the_exact_hypergradient(kernels: SlipKernels) -> None:
    problem = FourRooms(slip_kernels=kernels)
    answer = best_response(problem, THETA)
    exact = exact_hypergradient(problem, THETA, answer.policy, TEMPERATURES)
    assert (np.linalg.norm(exact.indirect, axis=1) > 1e-2 * np.linalg.norm(exact.total)).any()
    estimator = AMD(problem, TEMPERATURES, 100)
    memory = estimator.start(STREAMS)
    errors = []
    for _ in range(8):
        error = estimator.estimate(THETA, answer, memory, STREAMS).gradient - exact.total
        errors.append(np.linalg.norm(error, axis=1) / np.linalg.norm(exact.total, axis=1))
    assert (errors[0] > 1e-6).all()  # a hundred sweeps from nothing are not enough
    assert (errors[-1] < 1e-6).all()


def test_a_follower_that_is_far_from_its_best_answer_is_left_behind() -> None:
    # The recursion improves its own Q_F: what the follower plays is only where it starts.
    problem = FourRooms(slip_kernels="published")
    answer = best_response(problem, THETA)
    exact = exact_hypergradient(problem, THETA, answer.policy, TEMPERATURES).total
    poor = BestResponse(answer.policy, np.zeros((3, 104)), answer.accuracy, answer.iterations)
    estimator = AMD(problem, TEMPERATURES, 1000)
    found = estimator.estimate(THETA, poor, estimator.start(STREAMS), STREAMS).gradient
    np.testing.assert_allclose(found, exact, rtol=0.0, atol=1e-6 * np.abs(exact).max())


def test_runs_do_not_depend_on_their_batch_nor_sweeps_on_how_they_are_counted() -> None:
    problem = FourRooms()
    answer = best_response(problem, THETA)
    together, twice = AMD(problem, TEMPERATURES, 40), AMD(problem, TEMPERATURES, 20)
    memory = together.start(STREAMS)
    found = together.estimate(THETA, answer, memory, STREAMS).gradient
    other = twice.start(STREAMS)
    for _ in range(2):
        again = twice.estimate(THETA, answer, other, STREAMS).gradient
    np.testing.assert_array_equal(found, again)
    for name, table in memory.items():
        np.testing.assert_array_equal(table, other[name], err_msg=name)
    assert np.abs(found).max() > 1e-6
    alone = AMD(problem, TEMPERATURES[1:2], 40)
    own = BestResponse(*(each[1:2] for each in (answer.policy, answer.value, answer.accuracy,
                                                answer.iterations)))  # fmt: skip
    memory = alone.start(Streams([1]))
    single = alone.estimate(THETA[1:2], own, memory, Streams([1])).gradient
    np.testing.assert_array_equal(single[0], found[1])


@dataclass(frozen=True)
class ManySuccessors(FourRooms):
    """FourRooms, in which two of the four successors of a state are told twice."""

    @cached_property
    def planner(self) -> TabularModel:
        model = super().planner
        share = model.probability[:, :, :2] / 3.0
        rest = np.concatenate([2.0 * share, model.probability[:, :, 2:]], axis=2)
        successor = np.concatenate([model.successor, model.successor[:, :2]], axis=1)
        probability = np.concatenate([rest, share], axis=2)
        return tabular_model(successor, probability, model.discount, model.initial)


def test_any_number_of_successors() -> None:
    answer = best_response(FourRooms(), THETA)
    found = []
    for problem in (FourRooms(), ManySuccessors()):
        estimator = AMD(problem, TEMPERATURES, 60)
        memory = estimator.start(STREAMS)
        found.append([estimator.estimate(THETA, answer, memory, STREAMS).gradient])
        found[-1] += [memory[name] for name in ("slopes", "gradient")]
    for few, many in zip(*found, strict=True):
        assert np.abs(few).max() > 1e-6
        np.testing.assert_allclose(many, few, rtol=0.0, atol=1e-12 * np.abs(few).max())


def test_rewards_that_theta_moves_action_by_action_are_refused() -> None:
    problem = action_problem()
    follower = SoftPolicyIteration(problem.planner, TEMPERATURES, 1e-10, 60)
    theta = np.ones((3, 3))
    answer = follower.respond(problem.follower_reward(theta), follower.start(3))
    estimator = AMD(problem, TEMPERATURES, 1)
    with pytest.raises(ValueError, match="the same for every action"):
        estimator.estimate(theta, answer, estimator.start(STREAMS), STREAMS)
