"""Negative controls where θ sets rewards: r_L = c r_F leaves -c β dH/dθ of the indirect term.

A random process in which θ is the follower's reward table, and the leader is paid c times as much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.estimator import Estimate, Estimator
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.critic import ExactCritic
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.hpgd import HPGD
from bilevelrl.models.tabular.model import TabularModel, tabular_model
from bilevelrl.models.tabular.naive import Naive
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.sobirl import SoBiRL
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration

Floats = NDArray[np.float64]
STATES, ACTIONS, GAMMA, BETA, STEPS = 4, 3, 0.8, 0.7, 60
THETA = np.random.default_rng(1).standard_normal((1, STATES * ACTIONS))
SHARED = pytest.mark.parametrize("alignment", [-1.0, 1.0], ids=["zero-sum", "common-interest"])


@cache
def process() -> TabularModel:
    generator = np.random.default_rng(0)
    return tabular_model(
        np.tile(np.arange(STATES), (STATES, 1)),
        generator.dirichlet(np.full(STATES, 0.7), (STATES, ACTIONS)),
        np.full(STATES, GAMMA),
        np.eye(STATES)[0],
    )


@dataclass(frozen=True, eq=False)
class SharedReward:
    """r_F = θ and r_L = c θ, plus a bonus (S, A) of the leader's that θ does not move."""

    alignment: float
    bonus: Floats | float = 0.0
    max_episode_steps: int = STEPS
    num_parameters: int = STATES * ACTIONS

    @property
    def planner(self) -> TabularModel:
        return process()

    simulator = planner

    def follower_reward(self, theta: Floats) -> Floats:
        return theta.reshape(-1, STATES, ACTIONS)

    def leader_reward(self, theta: Floats) -> Floats:
        return self.alignment * self.follower_reward(theta) + self.bonus

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        return weights.reshape(theta.shape)

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        return self.alignment * weights.reshape(theta.shape)

    def initial_parameters(self, normals: Floats, spread: Floats) -> Floats:
        return spread[:, None] * normals


def answer(runs: int = 1, temperature: float = BETA) -> BestResponse:
    follower = SoftPolicyIteration(process(), np.full(runs, temperature), 1e-12, 100)
    reward = np.repeat(THETA, runs, axis=0).reshape(-1, STATES, ACTIONS)
    return follower.respond(reward, np.zeros((runs, STATES)))


def parts(problem: SharedReward) -> tuple[Floats, Floats]:
    truth = exact_hypergradient(problem, THETA, answer().policy, np.array([BETA]))
    return truth.direct[0], truth.indirect[0]


def surprise() -> Floats:
    bonus: Floats = -np.log(answer().policy[0])
    return bonus


def closed_form() -> Floats:
    """β dH/dθ, shape (D,)."""
    return BETA * parts(SharedReward(0.0, surprise()))[1]


@SHARED
def test_the_indirect_term_is_that_of_the_entropy(alignment: float) -> None:
    _, indirect = parts(SharedReward(alignment))
    np.testing.assert_allclose(indirect, -alignment * closed_form(), rtol=1e-9, atol=1e-11)
    assert np.linalg.norm(indirect) > 0.05


def test_a_leader_that_is_paid_the_entropy_too_has_no_indirect_term() -> None:
    direct, indirect = parts(SharedReward(1.0, BETA * surprise()))
    assert np.abs(indirect).max() < 1e-10 * np.abs(direct).max()


def test_the_entropy_rises_with_theta_as_visits_do_with_temperature() -> None:
    # The direct part at c = 1 are the visits; second derivatives of V_soft commute.
    step = 1e-4
    visits = [
        exact_hypergradient(
            SharedReward(1.0), THETA, answer(temperature=BETA + move).policy, np.array([BETA])
        ).direct[0]
        for move in (step, -step)
    ]
    slope = (visits[0] - visits[1]) / (2.0 * step)
    np.testing.assert_allclose(closed_form(), BETA * slope, rtol=1e-5, atol=1e-8)


Make = Callable[[OnPolicy, Floats], Estimator]
EXACT = ExactCritic(process())
ESTIMATORS: dict[str, Make] = {
    "bc_hg": lambda sampling, beta: BoltzmannCovariance(sampling, EXACT, beta),
    "hpgd_mc": HPGD,
    "hpgd_sa": lambda sampling, beta: HPGD(sampling, beta, critic=EXACT),
    "hpgd_oracle": lambda sampling, beta: HPGD(
        sampling, beta, oracle=Rollout(process(), 200, STEPS, STEPS, "oracle", True)
    ),
}


def estimates(make: Make, problem: SharedReward, runs: int, envs: int) -> Estimate:
    sampling = OnPolicy(problem, Rollout(process(), envs, STEPS, STEPS), GAMMA)
    estimator = make(sampling, np.full(runs, BETA))
    streams = Streams(range(runs))
    memory = estimator.start(streams)
    return estimator.estimate(np.repeat(THETA, runs, axis=0), answer(runs), memory, streams)


@SHARED
@pytest.mark.parametrize("name", ESTIMATORS)
def test_large_batches_say_the_closed_form(name: str, alignment: float) -> None:
    indirect = estimates(ESTIMATORS[name], SharedReward(alignment), 200, 200).indirect
    truth = -alignment * closed_form()
    noise = np.sqrt(indirect.var(axis=0).sum() / len(indirect))
    error = np.linalg.norm(indirect.mean(axis=0) - truth)
    assert noise < 0.1 * np.linalg.norm(truth)
    # HPGD's tables have a bias that falls with visits, of which a pair has a thousand.
    assert error < 4.0 * noise + 0.02 * np.linalg.norm(truth)


@pytest.mark.parametrize("name", ["bc_hg", "hpgd_sa"])
def test_nothing_is_left_where_the_leader_is_paid_the_entropy_too(name: str) -> None:
    soft = SharedReward(1.0, BETA * surprise())
    usual, found = (
        np.abs(estimates(ESTIMATORS[name], problem, 5, 20).indirect).max()
        for problem in (SharedReward(1.0), soft)
    )
    assert found < 1e-9 * usual


@SHARED
def test_sobirl_is_found_out(alignment: float) -> None:
    # It sums the follower's rewards without discount, and centres them action by action.
    indirect = estimates(SoBiRL, SharedReward(alignment), 800, 200).indirect
    truth = -alignment * closed_form()
    noise = np.sqrt(indirect.var(axis=0).sum() / len(indirect))
    assert np.linalg.norm(indirect.mean(axis=0) - truth) > 6.0 * noise


def test_naive_lacks_it() -> None:
    found = estimates(lambda sampling, _: Naive(sampling), SharedReward(1.0), 100, 50)
    assert (found.indirect == 0.0).all()
    direct, _ = parts(SharedReward(1.0))
    error = found.direct.std(axis=0) / 10.0
    assert (np.abs(found.direct.mean(axis=0) - direct) < 4.5 * error + 1e-4).all()
