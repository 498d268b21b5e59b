"""Estimators of a leader that shapes the transition: means without bias, in every form."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.critic import ExactThermalCritic, QuadraticActionCritic
from bilevelrl.problems.thermal_control.exact import thermal_hypergradient
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.transition import TransitionDirect
from bilevelrl.problems.thermal_control.transition_score import TransitionScore, control_variate
from tests.buildings import building

Floats = NDArray[np.float64]
PROBLEM = ThermalControl.published(max_episode_steps=12)


@dataclass(frozen=True, eq=False)
class Point:
    problem: ThermalControl
    temperature: float
    theta: Floats


#: A building in which scores can be told from what they hide, half of the hypergradient indirect;
#: and the published one, in which only expectations are quiet enough.
POINTS = {
    "loud": Point(
        building(3, 1, initial_deviation=0.3, control_cost=((0.05,),), discount=0.6),
        10.0,
        np.random.default_rng(1).standard_normal(6),
    ),
    "published": Point(
        ThermalControl.published(state_limit=1e6), 0.1, np.random.default_rng(6).standard_normal(8)
    ),
}


class Kind(NamedTuple):
    """Attributes:
    form: see `TransitionScore`.
    control: with the baseline of the follower's side, learned from one earlier batch.
    expected: sensitivities in expectation.
    """

    form: Any = "score"
    control: bool = False
    expected: bool = False


def sampled(problem: ThermalControl, episodes: int, learner: Any) -> Sampled[ThermalBatch]:
    return Sampled(ThermalRollout(problem, episodes), learner)


def samples(point: Point, kind: Kind, runs: int, episodes: int) -> tuple[Floats, Floats]:
    """Independent estimates with the exact critic, direct and indirect, each (runs, 8)."""
    problem, chunk, parts = point.problem, 250, []
    for first in range(0, runs, chunk):
        beta = np.full(chunk, point.temperature)
        follower, theta = ThermalRegulator(problem, beta), np.tile(point.theta, (chunk, 1))
        learner = TransitionScore(
            problem.design, ExactThermalCritic(problem), kind.form, problem.noise, temperature=beta,
            control=control_variate(problem.design) if kind.control else None,
            expectation=follower if kind.expected else None,
        )  # fmt: skip
        estimator = sampled(problem, episodes, learner)
        response, streams = follower.respond(theta), Streams(range(first, first + chunk))
        memory = estimator.start(streams)
        for _ in range(2 if kind.control else 1):  # the first batch only teaches the baseline
            estimate = estimator.estimate(theta, response, memory, streams)
        parts.append((estimate.direct, estimate.indirect))
    direct, indirect = (np.concatenate(part) for part in zip(*parts, strict=True))
    return direct, indirect


def exact(point: Point) -> tuple[Floats, Floats]:
    follower = ThermalRegulator(point.problem, np.array([point.temperature]))
    theta = point.theta[None]
    truth = thermal_hypergradient(follower, theta, follower.respond(theta))
    return truth.direct[0], truth.indirect[0]


def p_value(estimates: Floats, truth: Floats) -> float:
    """Hotelling's T²."""
    error = estimates - truth
    (n, d), mean = error.shape, error.mean(axis=0)
    t2 = n * mean @ np.linalg.solve(np.cov(error.T), mean)
    return float(stats.f.sf(t2 * (n - d) / (d * (n - 1)), d, n - d))


def blind_spot(estimates: Floats) -> float:
    """Six standard errors in the noisiest direction: a larger bias would be found anywhere."""
    return float(6.0 * np.sqrt(np.linalg.eigvalsh(np.cov(estimates.T))[-1] / len(estimates)))


#: Point, kind, and the bias that would be noticed, as a share of |indirect| and of |direct|.
UNBIASED = {
    "score": ("loud", Kind(), 0.6, 0.4),
    "centred": ("loud", Kind("centred"), 0.35, 0.05),
    "pathwise": ("loud", Kind("pathwise"), 0.2, 0.02),
    "centred, control": ("loud", Kind("centred", control=True), 0.35, 0.05),
    "pathwise, control": ("loud", Kind("pathwise", control=True), 0.2, 0.02),
    "expected": ("loud", Kind("pathwise", expected=True), 0.1, 0.02),
    "expected, published": ("published", Kind("pathwise", expected=True), 0.15, 0.1),
}


@pytest.mark.parametrize(("place", "kind", "share", "of_direct"), UNBIASED.values(), ids=UNBIASED)
def test_both_parts_average_to_the_exact_hypergradient(
    place: str, kind: Kind, share: float, of_direct: float
) -> None:
    point = POINTS[place]
    found = samples(point, kind, runs=2000, episodes=10)
    for part, truth, limit in zip(found, exact(point), (of_direct, share), strict=True):
        assert p_value(part, truth) > 1e-4
        assert blind_spot(part) < limit * np.linalg.norm(truth)


def test_half_an_indirect_part_is_found_out() -> None:
    point = POINTS["published"]
    direct, indirect = samples(point, Kind("pathwise", expected=True), 500, 10)
    assert p_value(direct + 0.5 * indirect, np.add(*exact(point))) < 1e-12


def test_a_baseline_from_earlier_batches_makes_the_indirect_part_quieter() -> None:
    spreads = [
        np.trace(np.cov(samples(POINTS["published"], Kind("pathwise", control), 300, 10)[1].T))
        for control in (True, False)
    ]
    assert spreads[0] < 0.1 * spreads[1]


def test_a_mean_that_is_clipped_does_not_move_with_theta() -> None:
    point = POINTS["loud"]
    clipped = replace(point, problem=replace(point.problem, state_limit=1e-9))
    _, indirect = samples(clipped, Kind("pathwise"), 2, 3)
    np.testing.assert_array_equal(indirect, 0.0)
    assert (samples(point, Kind("pathwise"), 2, 3)[1] != 0.0).all()


def test_clipped_scores_are_biased() -> None:
    point = POINTS["loud"]
    learner = TransitionDirect(
        point.problem.design, ExactThermalCritic(point.problem), noise=point.problem.noise,
        max_score_norm=0.05,
    )  # fmt: skip
    estimator = sampled(point.problem, 10, learner)
    theta, streams = np.tile(point.theta, (1000, 1)), Streams(range(1000))
    response = ThermalRegulator(point.problem, np.full(1000, point.temperature)).respond(theta)
    found = estimator.estimate(theta, response, {}, streams)
    assert (found.indirect == 0.0).all()
    assert p_value(found.direct, exact(point)[0]) < 1e-12
    unclipped = sampled(point.problem, 10, replace(learner, max_score_norm=None))
    plain = unclipped.estimate(theta, response, {}, streams)
    assert p_value(plain.direct, exact(point)[0]) > 1e-4


@pytest.mark.parametrize("kind", [Kind(), Kind("pathwise", True), Kind("pathwise", False, True)])
def test_bits_do_not_depend_on_the_batch(kind: Kind) -> None:
    beta = np.array([0.1, 0.2, 0.3])
    theta = np.random.default_rng(0).standard_normal((3, 8))

    def run(rows: list[int]) -> Floats:
        follower = ThermalRegulator(PROBLEM, beta[rows])
        learner = TransitionScore(
            PROBLEM.design, QuadraticActionCritic(PROBLEM.design), kind.form, PROBLEM.noise,
            temperature=beta[rows],
            control=control_variate(PROBLEM.design) if kind.control else None,
            expectation=follower if kind.expected else None,
        )  # fmt: skip
        estimator = sampled(PROBLEM, 4, learner)
        streams, response = Streams(rows), follower.respond(theta[rows])
        memory = estimator.start(streams)
        for _ in range(3):
            estimate = estimator.estimate(theta[rows], response, memory, streams)
        return estimate.gradient

    np.testing.assert_array_equal(run([0, 1, 2])[1:2], run([1]))
