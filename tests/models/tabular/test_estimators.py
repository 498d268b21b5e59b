"""Every sampled estimator against a literal reading of its definition, one row after the other.

The reference below shares nothing with `src` but the sampled batch: it carries explicit T x D
tensors of gradient returns and builds its tables as dictionaries of lists.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.estimator import Estimate, Estimator
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.hpgd import HPGD
from bilevelrl.models.tabular.naive import Naive
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.sarsa import Sarsa
from bilevelrl.models.tabular.sobirl import SoBiRL
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms
from tests.models.tabular.literal_estimators import (
    GAMMA,
    SEEDS,
    STEP_SIZES,
    TEMPERATURES,
    Case,
    Literal,
    literal_indirect,
    literal_sarsa,
    make_case,
)

Floats = NDArray[np.float64]

PUBLISHED: dict[str, Any] = {"averaging": "every_visit", "normalisation": "finished_episodes"}


@pytest.fixture(scope="module", params=["four_rooms", "four_rooms_cut", "action_problem"])
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


def make_estimator(method: str, case: Case, **options: Any) -> Estimator:
    critic = Sarsa(STEP_SIZES, GAMMA, initial_spread=1.0, cuts="termination")
    sampling = OnPolicy(case.problem, case.rollout, GAMMA, **options)
    if method == "naive":
        return Naive(sampling)
    if method == "sobirl":
        return SoBiRL(sampling, TEMPERATURES)
    if method == "bc_hg":
        return BoltzmannCovariance(sampling, critic, TEMPERATURES)
    return HPGD(
        sampling,
        TEMPERATURES,
        critic=critic if method == "hpgd_sa" else None,
        oracle=case.oracle if method == "hpgd_oracle" else None,
    )


def estimate(method: str, case: Case, **options: Any) -> Estimate:
    streams = Streams(SEEDS)
    estimator = make_estimator(method, case, **options)
    return estimator.estimate(case.theta, case.response, estimator.start(streams), streams)


def batches(case: Case) -> tuple[Batch, Batch]:
    """What an estimator with fresh streams samples."""
    policy = case.response.policy
    return case.rollout.sample(policy, Streams(SEEDS)), case.oracle.sample(policy, Streams(SEEDS))


METHODS = ["naive", "bc_hg", "hpgd_mc", "hpgd_sa", "hpgd_oracle", "sobirl"]


def assert_equal(found: Floats, expected: Any) -> None:
    np.testing.assert_allclose(
        found, expected, rtol=0.0, atol=1e-12 * max(1.0, np.abs(expected).max())
    )


@pytest.mark.parametrize("method", METHODS)
def test_published_options_equal_the_literal_reading(method: str, case: Case) -> None:
    found = estimate(method, case, **PUBLISHED)
    batch, oracle = batches(case)
    first = int(case.problem.simulator.initial.argmax())
    for run in range(3):
        direct = Literal(batch, run).direct(case.leader_jacobian[run], first)
        assert_equal(found.direct[run], direct)
        if method != "naive":
            expected = literal_indirect(method, case, batch, oracle, run) / TEMPERATURES[run]
            assert_equal(found.indirect[run], expected * np.ones_like(direct))
    if method == "naive":
        assert not found.indirect.any()


def test_the_batches_hold_what_the_options_are_about() -> None:
    for name, cut in (("four_rooms", False), ("four_rooms_cut", True), ("action_problem", True)):
        batch, _ = batches(make_case(name))
        assert batch.terminated.any(axis=(1, 2)).all()
        assert batch.truncated.any() == cut
        assert not (batch.terminated | batch.truncated)[..., -1].all()  # unfinished episodes
    case = make_case("four_rooms_cut")
    bc_hg, hpgd = (estimate(m, case, **PUBLISHED).indirect for m in ("bc_hg", "hpgd_sa"))
    assert (np.linalg.norm(bc_hg - hpgd, axis=1) > 1e-6).all()


@pytest.mark.parametrize("name", ["four_rooms", "four_rooms_cut"])
def test_sobirl_is_naive_in_four_rooms(name: str) -> None:
    case = make_case(name)
    sobirl, naive = estimate("sobirl", case, **PUBLISHED), estimate("naive", case, **PUBLISHED)
    np.testing.assert_allclose(sobirl.gradient, naive.gradient, rtol=0.0, atol=1e-12)
    assert np.abs(naive.gradient).max() > 1e-4


def test_sobirl_is_not_naive_where_rewards_depend_on_actions() -> None:
    assert (
        np.abs(estimate("sobirl", make_case("action_problem")).indirect).max(axis=1) > 1e-3
    ).all()


def episodes_of(batch: Batch, run: int) -> Iterator[list[tuple[int, int]]]:
    """The (s, a) sequences of all episodes, cut ones included."""
    for env in range(batch.state.shape[1]):
        starts = [*np.flatnonzero(batch.time[run, env] == 0), batch.state.shape[2]]
        for begin, end in pairwise(starts):
            pairs = zip(
                batch.state[run, env, begin:end], batch.action[run, env, begin:end], strict=True
            )
            yield [(int(s), int(a)) for s, a in pairs]


def test_default_options_equal_sums_over_episodes(case: Case) -> None:
    # Σ_j w(τ_j) γ^j Σ_{t ≤ j} A(s_t, a_t) ψ_j / β with leader and follower discount alike; w(τ) is
    # one over the number of episodes that began early enough for their step τ to lie in the batch.
    found = estimate("bc_hg", case)
    batch, _ = batches(case)
    horizon = batch.state.shape[2]
    for run in range(3):
        began = [horizon - t for t in np.nonzero(batch.time[run] == 0)[1]]
        advantage = literal_sarsa(case, batch, run)
        direct, indirect = np.zeros((2, case.theta.shape[1]))
        for episode in episodes_of(batch, run):
            for j, (s, a) in enumerate(episode):
                weight = GAMMA**j / sum(room > j for room in began)
                direct += weight * case.leader_jacobian[run, s, a]
                before = sum(advantage[pair] for pair in episode[: j + 1])
                indirect += weight * before * case.follower_jacobian[run, s, a]
        assert_equal(found.direct[run], direct)
        assert_equal(found.indirect[run], indirect / TEMPERATURES[run])


@pytest.mark.parametrize("method", METHODS)
def test_costs_and_sampled_returns_are_reported(method: str, case: Case) -> None:
    found = estimate(method, case)
    assert found.env_steps == 120
    assert found.oracle_steps == (600 if method == "hpgd_oracle" else 0)
    batch, _ = batches(case)
    reward = case.problem.leader_reward(case.theta)
    for run in range(3):
        seen = [
            sum(GAMMA**k * reward[run, s, a] for k, (s, a) in enumerate(episode))
            for episode in episodes_of(batch, run)
        ]
        assert found.leader_return_sampled[run] == pytest.approx(np.mean(seen), rel=1e-12)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(number)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def bits(method: str, runs: slice, options: dict[str, Any]) -> Floats:
    """Two consecutive gradients of some of 40 runs, shape (2, R, D)."""
    problem = FourRooms()
    beta, alpha = np.resize(TEMPERATURES, 40)[runs], np.resize(STEP_SIZES, 40)[runs]
    theta = np.random.default_rng(1).standard_normal((40, 105))[runs]
    follower = SoftPolicyIteration(problem.planner, beta, 1e-10, 60)
    response = follower.respond(problem.follower_reward(theta), np.zeros((len(theta), 104)))
    sampling = OnPolicy(problem, Rollout(problem.simulator, 2, 50, 200), GAMMA, **options)
    critic = Sarsa(alpha, GAMMA, initial_spread=1.0)
    estimator: Estimator
    if method == "bc_hg":
        estimator = BoltzmannCovariance(sampling, critic, beta)
    else:
        oracle = Rollout(problem.simulator, 1, 100, 200, consumer="oracle", uniform_starts=True)
        estimator = HPGD(sampling, beta, oracle=oracle)
    streams = Streams(list(range(40))[runs])
    memory = estimator.start(streams)
    found = (estimator.estimate(theta, response, memory, streams).gradient for _ in range(2))
    return np.stack(list(found))


@pytest.mark.parametrize("options", [{}, PUBLISHED], ids=["corrected", "published"])
@pytest.mark.parametrize("method", ["bc_hg", "hpgd_oracle"])
def test_bits_depend_on_neither_the_batch_nor_the_threads(
    method: str, options: dict[str, Any]
) -> None:
    with threads(1):
        together = bits(method, slice(0, 40), options)
    with threads(min(2, numba.config.NUMBA_NUM_THREADS)):
        np.testing.assert_array_equal(together, bits(method, slice(0, 40), options))
        for run in (0, 29, 39):
            alone = bits(method, slice(run, run + 1), options)
            np.testing.assert_array_equal(together[:, run], alone[:, 0])
    assert (together[0] != together[1]).any()
