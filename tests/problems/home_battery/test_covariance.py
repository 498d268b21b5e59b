"""BC-HG from sampled days against the exact hypergradient."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.estimator import Estimate
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.problems.home_battery.advantages import (
    ExactAdvantage,
    SarsaAdvantage,
)
from bilevelrl.problems.home_battery.covariance import (
    Advantage,
    DirectOnly,
    HourlyBaseline,
    HouseholdCovariance,
)
from bilevelrl.problems.home_battery.exact import exact_hypergradient, leader_return, mean_day
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery
from bilevelrl.problems.home_battery.regressed import RegressedAdvantage
from bilevelrl.problems.home_battery.rollout import DayRollout
from bilevelrl.problems.home_battery.traces import traced

Floats = NDArray[np.float64]
HOUSE = HomeBattery.of_houses(1, noise=0.2)
THETA = np.random.default_rng(0).uniform(0.2, 0.4, 24)


def estimates(
    estimator: HouseholdCovariance, runs: int, batches: int, *, first: int = 0
) -> tuple[Floats, Floats]:
    """Indirect terms of `runs` runs, (runs · batches, 24), after `first` others; and the truth."""
    problem, temperature = estimator.rollout.problem, estimator.temperature
    theta = np.tile(THETA, (runs, 1))
    answer = ExactPlanner(problem, temperature).best(theta)
    streams = Streams(range(runs))
    memory = estimator.start(streams)
    found = [
        estimator.estimate(theta, answer, memory, streams).indirect for _ in range(first + batches)
    ]
    truth = exact_hypergradient(problem, theta[:1], answer.policy[:1], temperature[:1])
    return np.concatenate(found[first:]), truth.indirect[0]


def standard_errors(samples: Floats, mean: Floats) -> Floats:
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    found: Floats = np.abs(samples.mean(axis=0) - mean) / error
    return found


def covariance(
    problem: HomeBattery, days: int, runs: int, closing: int = 1, **parts: object
) -> HouseholdCovariance:
    rollout = DayRollout(problem, days, closing)
    options: dict[str, object] = {"advantage": ExactAdvantage(problem), "baseline": None} | parts
    return HouseholdCovariance(rollout, temperature=np.full(runs, 0.05), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "problem",
    [
        HOUSE,
        replace(HOUSE, leader_discount=0.95),
        replace(HOUSE, leader_discount=1.0, follower_discount=0.95, infeasible="cut"),
        HomeBattery.of_houses(2, noise=0.2),
    ],
    ids=["house", "leader", "stationary", "houses"],
)
@pytest.mark.parametrize("baseline", [None, HourlyBaseline()], ids=["published", "centred"])
def test_mean_is_the_exact_indirect_term(
    problem: HomeBattery, baseline: HourlyBaseline | None
) -> None:
    estimator = covariance(problem, 1000, 40, baseline=baseline)
    samples, truth = estimates(estimator, 40, 2, first=1)
    assert standard_errors(samples, truth).max() < 4.0
    # So many days tell something that is 15 % wrong from the truth.
    error = samples.std(axis=0).max() / np.sqrt(len(samples))
    assert 4.0 * error < 0.15 * np.linalg.norm(truth)


def test_the_baseline_takes_most_of_the_variance() -> None:
    spread = []
    for baseline in (None, HourlyBaseline()):
        samples, _ = estimates(covariance(HOUSE, 64, 30, baseline=baseline), 30, 3, first=2)
        spread.append(samples.var(axis=0).sum())
    assert spread[1] < 0.4 * spread[0]


def test_a_first_batch_has_no_baseline() -> None:
    with_it, without = (
        estimates(covariance(HOUSE, 8, 2, baseline=baseline), 2, 1)[0]
        for baseline in (None, HourlyBaseline())
    )
    np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize("houses", [1, 2])
def test_a_regressed_advantage_comes_close(houses: int) -> None:
    problem = HomeBattery.of_houses(houses, noise=0.3)
    parts = {"advantage": RegressedAdvantage(problem), "baseline": HourlyBaseline()}
    samples, truth = estimates(covariance(problem, 1000, 30, **parts), 30, 2, first=1)
    error = np.linalg.norm(samples.mean(axis=0) - truth) / np.linalg.norm(truth)
    assert error < 0.03


@pytest.mark.parametrize("discount", [0.99, 1.0])
def test_a_regressed_advantage_is_the_exact_one(discount: float) -> None:
    problem = replace(HomeBattery.of_houses(2, noise=0.5), leader_discount=discount)
    theta, temperature = THETA[None], np.array([0.05])
    answer = ExactPlanner(problem, temperature).best(theta)
    streams = Streams([3])
    seen = DayRollout(problem, 4000).sample(answer.policy, streams)
    truth = ExactAdvantage(problem).of(theta, answer, seen, {}, streams)
    learned = RegressedAdvantage(problem)
    found = learned.of(theta, answer, seen, learned.start(streams), streams)
    error = np.sqrt(np.square(found - truth).mean() / np.square(truth).mean())
    assert error < 0.1


@pytest.mark.parametrize("information", ["full", "actions"])
def test_sarsa_learns_the_advantage_on_a_small_grid(information: str) -> None:
    problem = HomeBattery.of_houses(1, num_charges=3, num_actions=5, leader_discount=0.9)
    theta, temperature = THETA[None], np.array([0.3])
    answer = ExactPlanner(problem, temperature).best(theta)
    streams = Streams([4])
    rollout = DayRollout(problem, 1000)
    critic = SarsaAdvantage(problem, np.array([0.02]), information)  # type: ignore[arg-type]
    memory = critic.start(streams)
    for _ in range(20):
        seen = rollout.sample(answer.policy, streams)
        found = critic.of(theta, answer, seen, memory, streams)
    truth = ExactAdvantage(problem).of(theta, answer, seen, {}, streams)
    error = np.sqrt(np.square(found - truth).mean() / np.square(truth).mean())
    assert error < 0.11
    assert found.shape == (1, 1, 1000, 24)


def test_who_sees_actions_alone_reads_no_policy() -> None:
    problem = HomeBattery.of_houses(1, num_charges=5, num_actions=7)
    theta, streams = THETA[None], Streams([5])
    answer = ExactPlanner(problem, np.array([0.1])).best(theta)
    seen = DayRollout(problem, 20).sample(answer.policy, streams)
    hidden = replace(answer, policy=np.full_like(answer.policy, np.nan))
    critics: tuple[Advantage, ...] = (
        SarsaAdvantage(problem, np.array([0.1]), "actions"),
        RegressedAdvantage(problem),
    )
    for critic in critics:
        found = critic.of(theta, hidden, seen, critic.start(streams), streams)
        assert np.isfinite(found).all()
    reader = SarsaAdvantage(problem, np.array([0.1]), "full")
    assert np.isnan(reader.of(theta, hidden, seen, reader.start(streams), streams)).any()


def test_a_baseline_is_a_regression_on_batches_that_it_forgets() -> None:
    baseline = HourlyBaseline(num_terms=2, forgetting_factor=0.5, ridge=0.0)
    generator = np.random.default_rng(6)
    memory = baseline.start(1, 1)
    batches = [(generator.random((1, 1, 8, 49)), generator.random((1, 1, 8, 48))) for _ in range(2)]
    for charge, bought in batches:
        baseline.see(charge, bought, 0.9, memory)
    for t in (0, 13):
        features, ahead, weights = [], [], []
        for weight, (charge, bought) in zip((0.5, 1.0), batches, strict=True):
            for day in range(8):
                share = charge[0, 0, day, t]
                features.append([1.0, 2.0 * share - 1.0])
                sums = np.zeros(24)
                for k in range(t, 48):
                    sums[k % 24] -= 0.9 ** (k - t) * bought[0, 0, day, k]
                ahead.append(sums)
                weights.append(np.sqrt(weight))
        scale = np.array(weights)[:, None]
        fitted, *_ = np.linalg.lstsq(scale * features, scale * ahead, rcond=None)
        injection = np.zeros((1, 1, 1, 24))
        injection[..., t] = 3.0
        found = baseline.mean(np.full((1, 1, 1, 49), 0.25), injection, memory)
        np.testing.assert_allclose(found[0], 3.0 * (fitted[0] - 0.5 * fitted[1]), rtol=1e-9)


def test_a_trace_is_the_double_sum() -> None:
    generator = np.random.default_rng(1)
    injection, bought = generator.random((2, 2, 3, 24)), generator.random((2, 2, 3, 48))
    expected = np.zeros((2, 24))
    for t in range(24):
        for k in range(t, 48):
            products = injection[..., t] * 0.9 ** (k - t) * -bought[..., k]
            expected[:, k % 24] += products.sum(axis=1).mean(axis=1)
    np.testing.assert_allclose(traced(injection, bought, 0.9), expected)


def test_direct_only_never_moves_from_the_flat_tariff() -> None:
    temperature = np.full(2, 0.05)
    rule = GradientAscent(np.full(2, 0.1), 10.0)
    for problem, spread in ((HOUSE, 0.0), (replace(HOUSE, tariff_weight=0.0), 0.1)):
        planner = ExactPlanner(problem, temperature)
        game = BatteryGame(problem, planner, planner, np.full(2, spread))
        steps = list(
            ascend(game, DirectOnly(DayRollout(problem, 4)), Streams([0, 1]), rule=rule,
                   num_updates=3)
        )  # fmt: skip
        np.testing.assert_array_equal(steps[-1].next_theta, steps[0].theta)
        assert np.isfinite(steps[0].estimate.leader_return_sampled).all()
        truth = game.hypergradient(steps[0].theta, steps[0].response)
        assert np.linalg.norm(truth.total, axis=1).min() > 1.0
    assert steps[0].theta.std() > 0.05
    assert (steps[0].estimate.gradient == 0.0).all()


def test_direct_only_pulls_prices_to_the_target() -> None:
    theta = np.tile(THETA, (1, 1))
    answer = ExactPlanner(HOUSE, np.array([0.05])).best(theta)
    found = DirectOnly(DayRollout(HOUSE, 4)).estimate(theta, answer, {}, Streams([0]))
    assert (np.sign(found.gradient) == np.sign(FLAT - theta)).all()
    assert found.env_steps == 4 * 48


@cache
def _estimate(seeds: tuple[int, ...], houses: int) -> Estimate:
    problem = HomeBattery.of_houses(houses, noise=0.2)
    estimator = covariance(
        problem, 6, len(seeds), advantage=RegressedAdvantage(problem), baseline=HourlyBaseline()
    )
    theta = np.tile(THETA, (len(seeds), 1))
    answer = ExactPlanner(problem, estimator.temperature).best(theta)
    streams = Streams(seeds)
    memory = estimator.start(streams)
    estimator.estimate(theta, answer, memory, streams)
    return estimator.estimate(theta, answer, memory, streams)


def test_runs_do_not_depend_on_their_batch() -> None:
    together, alone = _estimate((1, 2, 3), 2), _estimate((2,), 2)
    np.testing.assert_array_equal(together.gradient[1:2], alone.gradient)
    np.testing.assert_array_equal(together.leader_return_sampled[1:2], alone.leader_return_sampled)
    assert not np.array_equal(together.gradient[0], together.gradient[1])


def test_says_what_it_saw() -> None:
    found = _estimate((1, 2, 3), 2)
    assert found.env_steps == 2 * 6 * 48
    problem = HomeBattery.of_houses(2, noise=0.2)
    policy = ExactPlanner(problem, np.array([0.05])).best(THETA[None]).policy
    truth = leader_return(problem, THETA[None], mean_day(problem, policy))
    np.testing.assert_allclose(found.leader_return_sampled, truth[0], rtol=0.3)
