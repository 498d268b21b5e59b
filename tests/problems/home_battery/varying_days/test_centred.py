"""The doubly centred BC-HG on days that vary: its mean is the exact gradient, and literal sums."""

import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.varying_days.centred import CentredForecast
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.rollout import VaryingRollout
from bilevelrl.problems.home_battery.varying_days.tariffs import SamePrices
from bilevelrl.problems.home_battery.varying_days.traces import baseline_equations, covariance
from tests.problems.home_battery.cases import build, setting, trained
from tests.problems.home_battery.varying_days.days import TEMPERATURE, planner, small


@pytest.mark.parametrize("houses", [1, 2])
def test_its_mean_is_the_exact_hypergradient(houses: int) -> None:
    problem = small(houses, num_charges=17, num_actions=21)
    tariff = SamePrices(9)
    game = VaryingGame(tariff, planner(problem))
    streams = Streams([1, 2])
    theta, memory = game.start(streams)
    theta = theta + np.random.default_rng(0).uniform(-0.1, 0.1, theta.shape)
    answer = game.respond(theta, memory, streams)
    truth = game.hypergradient(theta, answer)
    own = CentredForecast(VaryingRollout(problem, 2000), tariff, TEMPERATURE)
    remembered, found = own.start(streams), []
    for _ in range(12):
        estimate = own.estimate(theta, answer, remembered, streams)
        np.testing.assert_allclose(estimate.direct, truth.direct, rtol=1e-9, atol=1e-12)
        found.append(estimate.indirect)
    late = np.array(found[2:])  # when V and b are known
    norm = np.linalg.norm(truth.indirect, axis=1)
    error = np.sqrt(late.var(axis=0, ddof=1).sum(axis=1) / len(late)) / norm
    bias = np.linalg.norm(late.mean(axis=0) - truth.indirect, axis=1) / norm
    assert (error < 0.06).all()
    assert (bias < 0.03 + 2.0 * error).all()


def test_the_covariance_is_the_literal_sum() -> None:
    generator = np.random.default_rng(0)
    types = generator.integers(0, 3, (2, 4, 2)).astype(np.int16)
    features = generator.standard_normal((2, 2, 4, 49, 3))
    injection = generator.standard_normal((2, 2, 4, 24))
    bought = generator.random((2, 2, 4, 48))
    coefficients = generator.standard_normal((2, 2, 24, 3, 48))
    found = np.zeros((2, 3, 24))
    covariance(types, features, injection, bought, coefficients, 0.9, found)
    expected = np.zeros_like(found)
    for r, i, d in np.ndindex(2, 2, 4):
        for t in range(24):
            for k in range(t, 48):
                b = features[r, i, d, t] @ coefficients[r, i, t, :, k]
                psi = -(0.9 ** (k - t)) * bought[r, i, d, k]
                expected[r, types[r, d, k // 24], k % 24] += injection[r, i, d, t] * (psi - b)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_baseline_is_least_squares_of_what_is_bought_later() -> None:
    generator = np.random.default_rng(1)
    features, bought = (
        generator.standard_normal((1, 1, 50, 49, 2)),
        generator.random((1, 1, 50, 48)),
    )
    gram, moment = np.zeros((1, 1, 24, 2, 2)), np.zeros((1, 1, 24, 2, 48))
    baseline_equations(features, bought, 0.9, gram, moment)
    for t, k in [(0, 0), (5, 30), (23, 47)]:
        expected = np.linalg.lstsq(
            features[0, 0, :, t], -(0.9 ** (k - t)) * bought[0, 0, :, k], rcond=None
        )[0]
        found = np.linalg.solve(gram[0, 0, t], moment[0, 0, t])[:, k]
        np.testing.assert_allclose(found, expected, atol=1e-9)
    assert not moment[0, 0, 5, :, :5].any()


def test_the_cell_is_built_and_climbs_and_runs_are_their_own() -> None:
    own = setting("bc_hg", "improved_network")
    built = build("bc_hg", [own]).estimator
    assert isinstance(built, CentredForecast)
    assert (built.forgetting_factor, built.baseline_forgetting_factor) == (0.9, 0.9)
    assert built.rollout.num_days == 256
    few = own.model_copy(update={"num_updates": 4, "days_per_update": 8})
    together = trained("bc_hg", [few, few], [95_000, 95_001])
    alone = trained("bc_hg", [few], [95_001])
    np.testing.assert_array_equal(alone.theta[0], together.theta[1])
    run = trained("bc_hg", [own.model_copy(update={"num_updates": 60})], [95_000])
    j = run.curves["leader_return"][0]
    assert j[-1] > j[0] + 0.1
    assert run.curves["env_steps"][0, -1] == 59 * 256 * 48
