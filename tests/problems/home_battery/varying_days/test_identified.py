"""A leader that identifies its houses on days whose forecast it knows."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.profiles import Profiles, mean_days
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.identification import ForecastIdentification
from bilevelrl.problems.home_battery.varying_days.identified import IdentifiedForecast
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays, on_types
from bilevelrl.problems.home_battery.varying_days.rollout import VaryingRollout
from bilevelrl.problems.home_battery.varying_days.tariffs import NetworkPrices
from tests.problems.home_battery.cases import build, setting, trained
from tests.problems.home_battery.varying_days.days import TEMPERATURE, Floats, planner, small


def ignorant(problem: VaryingDays) -> VaryingDays:
    """What is known of the houses, and nothing of what is not."""
    blank = np.zeros((problem.houses.num_houses, 24))
    battery = replace(problem.houses, efficiency=0.5)
    return on_types(battery, Profiles(blank, blank), problem.types, 0.0, 1.0)


def watched(
    problem: VaryingDays, days: int, batches: int = 1
) -> tuple[IdentifiedForecast, Memory, Estimate, Floats]:
    tariff = NetworkPrices(problem, 5)
    estimator = IdentifiedForecast(
        VaryingRollout(problem, days), tariff, ForecastIdentification(ignorant(problem)),
        TEMPERATURE,
    )  # fmt: skip
    streams = Streams([1, 2])
    theta = tariff.start(2, streams)
    theta += np.random.default_rng(0).normal(0.0, 0.1, theta.shape)
    memory = estimator.start(streams)
    answer = planner(problem).best(tariff.prices(theta))
    for _ in range(batches):
        found = estimator.estimate(theta, answer, memory, streams)
    return estimator, memory, found, theta


def test_finds_load_sunshine_noise_and_battery() -> None:
    problem = small(2)
    estimator, memory, *_ = watched(problem, 1000, batches=2)
    days, own = mean_days(2), estimator.identification
    np.testing.assert_array_equal(memory["num_days"], 2 * 1000 * 2)
    found = own.profiles(memory)
    np.testing.assert_allclose(found[..., 0], np.broadcast_to(days.load, (2, 2, 24)), atol=0.2)
    np.testing.assert_allclose(
        found[..., 1], np.broadcast_to(4.0 * days.solar, (2, 2, 24)), atol=0.2
    )
    np.testing.assert_allclose(own.noise(memory), 0.2, atol=0.005)
    for believed in own.houses(memory):
        assert believed.houses.efficiency == pytest.approx(0.9, abs=0.01)
        assert believed.types is problem.types
        np.testing.assert_allclose(believed.net, problem.net, atol=0.15)


def test_two_days_tell_nothing_of_noise_and_something_of_load() -> None:
    estimator, memory, found, _ = watched(small(1), 1)
    np.testing.assert_array_equal(estimator.identification.noise(memory), 0.0)
    assert np.isfinite(found.gradient).all()
    assert found.env_steps == 48


@pytest.mark.parametrize("houses", [1, 2])
def test_its_hypergradient_comes_to_the_exact_one(houses: int) -> None:
    problem = small(houses)
    errors = []
    for days in (2, 2000):
        estimator, _, found, theta = watched(problem, days)
        game = VaryingGame(estimator.tariff, planner(problem))
        truth = game.hypergradient(theta, game.respond(theta, game.exact.start(2), Streams([1, 2])))
        np.testing.assert_allclose(found.direct, truth.direct, rtol=1e-9, atol=1e-12)
        error = np.linalg.norm(found.gradient - truth.total, axis=1)
        errors.append(error / np.linalg.norm(truth.total, axis=1))
    assert (errors[1] < 0.03).all()
    assert np.median(errors[1]) < 0.3 * np.median(errors[0])


def test_the_cell_gets_ahead_of_fixed_prices_and_runs_are_their_own() -> None:
    own = setting("bc_hg", "identified_network")
    built = build("bc_hg", [own]).estimator
    assert isinstance(built, IdentifiedForecast)
    assert built.rollout.num_days == own.days_per_update  # type: ignore[attr-defined]
    few = own.model_copy(update={"num_updates": 4})
    together = trained("bc_hg", [few, few], [95_000, 95_001])
    alone = trained("bc_hg", [few], [95_001])
    np.testing.assert_array_equal(alone.theta[0], together.theta[1])
    run = trained("bc_hg", [own.model_copy(update={"num_updates": 60})], [95_000])
    fixed = trained("exact", [setting("exact", "varying", num_updates=60)], [95_000])
    assert run.curves["leader_return"][0, -1] > fixed.curves["leader_return"][0, -1]
