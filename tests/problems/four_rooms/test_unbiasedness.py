"""Is the mean of an estimator the exact hypergradient? And would the test notice if it were not?

A joint test (Hotelling's T²) in eight directions of θ that were fixed before any sample was drawn:
the exact hypergradient and its indirect part (their difference is the direct part), the weight that
the leader keeps, and five random ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.estimator import Estimate, Estimator
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Consumer, Streams
from bilevelrl.core.trace import Normalisation
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.critic import Critic, ExactCritic
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.game import TabularGame
from bilevelrl.models.tabular.naive import Naive
from bilevelrl.models.tabular.on_policy import Averaging, OnPolicy
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms, SlipKernels

Floats = NDArray[np.float64]
GAMMA, KEPT = 0.99, 104
CHUNK, NUM_CHUNKS = 600, 5  # 3,000 estimates
NUM_ENVS, NUM_STEPS = 33, 60  # 2,000 transitions each; most episodes take 15 to 30


@dataclass(frozen=True, eq=False)
class Point:
    """One θ with the follower's answer to it and the exact hypergradient."""

    problem: FourRooms
    theta: Floats
    temperature: float
    response: BestResponse
    truth: Hypergradient

    @property
    def exact(self) -> Floats:
        exact: Floats = self.truth.total[0]
        return exact

    def directions(self) -> Floats:
        """Orthonormal, shape (D, 8)."""
        random = np.random.default_rng(5).standard_normal((5, len(self.theta)))
        kept = np.eye(len(self.theta))[KEPT]
        rows = np.stack([self.exact, self.truth.indirect[0], kept, *random])
        return np.linalg.qr(rows.T)[0]


def make_point(
    theta: Floats, temperature: float = 0.003, slip_kernels: SlipKernels = "corrected"
) -> Point:
    problem = FourRooms(slip_kernels=slip_kernels)
    beta = np.array([temperature])
    follower = SoftPolicyIteration(problem.planner, beta, 1e-12, 100)
    response = follower.respond(problem.follower_reward(theta[None]), np.zeros((1, 104)))
    truth = exact_hypergradient(problem, theta[None], response.policy, beta)
    return Point(problem, theta, temperature, response, truth)


def generic() -> Floats:
    """Both parts of the hypergradient matter here: their norms are .0005 and .0014."""
    theta: Floats = np.random.default_rng(20).standard_normal(105)
    return theta


def replicate(point: Point, make: Callable[[int], Estimator]) -> Estimate:
    """3,000 independent estimates at one θ, each from its own seed; `make` is given the runs."""
    parts = []
    for chunk in range(NUM_CHUNKS):
        streams = Streams(range(chunk * CHUNK, (chunk + 1) * CHUNK))
        response = replace(point.response, policy=np.repeat(point.response.policy, CHUNK, axis=0))
        estimator = make(CHUNK)
        memory = estimator.start(streams)
        theta = np.tile(point.theta, (CHUNK, 1))
        parts.append(estimator.estimate(theta, response, memory, streams))
    return Estimate(
        np.concatenate([part.direct for part in parts]),
        np.concatenate([part.indirect for part in parts]),
        np.concatenate([part.leader_return_sampled for part in parts]),
    )


class Verdict(NamedTuple):
    """Attributes:
    p_value: of the mean being the exact hypergradient, in any of the eight directions.
    bias: |mean - exact| / |exact| in the space that they span.
    blind_spot: six standard errors in the noisiest direction, in units of |exact|.
    """

    p_value: float
    bias: float
    blind_spot: float


def judge(samples: Floats, point: Point) -> Verdict:
    error = (samples - point.exact) @ point.directions()
    (n, d), mean = error.shape, error.mean(axis=0)
    covariance = np.cov(error.T)
    t2 = n * mean @ np.linalg.solve(covariance, mean)
    p_value = stats.f.sf(t2 * (n - d) / (d * (n - 1)), d, n - d)
    norm = np.linalg.norm(point.exact)
    noisiest = np.linalg.eigvalsh(covariance)[-1]
    return Verdict(
        float(p_value),
        float(np.linalg.norm(mean) / norm),
        float(6.0 * np.sqrt(noisiest / n) / norm),
    )


def bc_hg(
    point: Point,
    critic: Critic | None = None,
    averaging: Averaging = "episodes",
    normalisation: Normalisation = "started_episodes",
) -> Callable[[int], Estimator]:
    """BC-HG that knows Q_L, unless another critic is given."""
    problem = point.problem
    rollout = Rollout(problem.simulator, NUM_ENVS, NUM_STEPS, problem.max_episode_steps)
    return lambda runs: BoltzmannCovariance(
        OnPolicy(problem, rollout, GAMMA, averaging, normalisation),
        critic or ExactCritic(problem.planner),
        np.full(runs, point.temperature),
    )


@pytest.fixture(scope="module")
def point() -> Point:
    return make_point(generic())


@pytest.mark.parametrize(
    ("theta", "temperature"),
    [
        pytest.param(generic(), 0.003, id="generic"),
        pytest.param(0.5 * generic(), 0.001, id="mostly-direct"),
        pytest.param(np.sin(np.arange(105.0)), 0.003, id="sine"),
    ],
)
def test_mean_of_corrected_bc_hg_is_the_exact_hypergradient(
    theta: Floats, temperature: float
) -> None:
    point = make_point(theta, temperature)
    verdict = judge(replicate(point, bc_hg(point)).gradient, point)
    assert verdict.p_value > 1e-4, f"biased: {verdict}"
    # Power: an error of a third of the gradient would be found, wherever it points.
    assert verdict.blind_spot < 1.0 / 3.0


def test_every_visit_averages_are_found_out(point: Point) -> None:
    samples = replicate(point, bc_hg(point, averaging="every_visit")).gradient
    assert_biased(samples, point, at_least=0.05)


def test_dividing_by_finished_episodes_is_found_out(point: Point) -> None:
    samples = replicate(point, bc_hg(point, normalisation="finished_episodes")).gradient
    assert_biased(samples, point, at_least=0.2)


def test_a_critic_that_takes_cuts_for_the_end_is_found_out(point: Point) -> None:
    # What SARSA on batches of NUM_STEPS steps converges to if it does not bootstrap: every
    # transition is the last one of its batch with probability 1 / NUM_STEPS.
    planner = point.problem.planner
    cut = planner._replace(discount=planner.discount * (1.0 - 1.0 / NUM_STEPS))
    assert_biased(replicate(point, bc_hg(point, ExactCritic(cut))).gradient, point, at_least=0.2)


def test_two_kernels_are_found_out() -> None:
    point = make_point(generic(), slip_kernels="published")
    assert_biased(replicate(point, bc_hg(point)).gradient, point, at_least=0.1)


def test_an_indirect_part_that_is_off_by_a_fifth_is_found_out(point: Point) -> None:
    samples = replicate(point, bc_hg(point))
    assert_biased(samples.direct + 0.8 * samples.indirect, point, at_least=0.1)


def assert_biased(samples: Floats, point: Point, at_least: float) -> None:
    verdict = judge(samples, point)
    assert verdict.p_value < 1e-12, f"not found out: {verdict}"
    assert verdict.bias > at_least
    assert verdict.blind_spot < 1.0 / 3.0  # as sharp as the test above


def relative_error_of_the_direct_part(
    point: Point, averaging: Averaging, normalisation: Normalisation
) -> tuple[float, float]:
    """Mean and standard error; the direct part has one degree of freedom, a factor."""
    rollout = Rollout(point.problem.simulator, NUM_ENVS, NUM_STEPS, 200)
    naive = Naive(OnPolicy(point.problem, rollout, GAMMA, averaging, normalisation))
    samples = replicate(point, lambda runs: naive).direct
    exact = point.truth.direct[0]
    factor = samples @ exact / (exact @ exact)
    np.testing.assert_allclose(samples, factor[:, None] * exact, atol=1e-12)
    return float(factor.mean()) - 1.0, float(factor.std() / np.sqrt(len(factor)))


def test_mean_of_the_default_direct_part_is_exact(point: Point) -> None:
    error, standard_error = relative_error_of_the_direct_part(point, "episodes", "started_episodes")
    assert abs(error) < 4.0 * standard_error
    assert standard_error < 1e-3


@pytest.mark.parametrize(
    ("averaging", "normalisation"),
    [("every_visit", "started_episodes"), ("episodes", "finished_episodes")],
)
def test_quirks_of_the_direct_part_are_found_out(
    point: Point, averaging: Averaging, normalisation: Normalisation
) -> None:
    error, standard_error = relative_error_of_the_direct_part(point, averaging, normalisation)
    assert abs(error) > 20.0 * standard_error
    assert standard_error < 1e-3


def zero_order(point: Point, radius: float) -> Callable[[int], Estimator]:
    def make(runs: int) -> Estimator:
        beta = np.full(runs, point.temperature)
        follower = SoftPolicyIteration(point.problem.planner, beta, 1e-13, 100)
        game = TabularGame(point.problem, follower, follower, np.ones(runs))
        return ZeroOrder(game, np.full(runs, radius))

    return make


def test_mean_of_zero_order_is_the_exact_hypergradient(point: Point) -> None:
    verdict = judge(replicate(point, zero_order(point, 1e-3)).gradient, point)
    assert verdict.p_value > 1e-4, f"biased: {verdict}"
    assert verdict.blind_spot < 1.0 / 3.0


class BalancedDirections(Streams):
    """Draws ±√D e for an orthonormal basis, so that means over runs are free of sampling error."""

    def normals(self, consumer: Consumer, shape: tuple[int, ...]) -> Floats:
        assert consumer == "zero_order"
        (dimension,) = shape
        square = np.random.default_rng(3).standard_normal((dimension, dimension))
        basis = np.sqrt(dimension) * np.linalg.qr(square)[0]
        return np.concatenate([basis, -basis])


def test_bias_of_zero_order_is_of_second_order_in_the_radius(point: Point) -> None:
    num_runs = 2 * len(point.theta)

    def bias(radius: float) -> Floats:
        estimator = zero_order(point, radius)(num_runs)
        streams = BalancedDirections(range(num_runs))
        response = replace(point.response, policy=np.repeat(point.response.policy, num_runs, 0))
        theta = np.tile(point.theta, (num_runs, 1))
        memory = estimator.start(streams)
        mean: Floats = estimator.estimate(theta, response, memory, streams).gradient.mean(axis=0)
        return mean - point.exact

    coarse, fine = (np.linalg.norm(bias(radius)) for radius in (4e-3, 2e-3))
    assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.2)
    assert fine < 0.01 * np.linalg.norm(point.exact)
    assert coarse > 1e-6 * np.linalg.norm(point.exact)  # above rounding
