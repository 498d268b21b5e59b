"""Negative controls: a leader that earns the bill, or pays it, in place of its own objective.

With r_L = c r_F the envelope theorem leaves -c β dH/dθ of the indirect term, and by the symmetry of
second derivatives that is -c β dG/dβ, G = E[Σ γ^t ∇_θ r_F].
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.estimator import Memory
from bilevelrl.core.follower import soft_bonus
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.covariance import (
    DirectOnly,
    HourlyBaseline,
    HouseholdCovariance,
)
from bilevelrl.problems.home_battery.exact import (
    leader_advantages,
    mean_day,
    pulled_back,
    reward_weights,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.rollout import DayRollout, HouseDays

Floats = NDArray[np.float64]
HOUSES = HomeBattery.of_houses(2, noise=0.2, tariff_weight=0.0, num_charges=13, num_actions=17)
THETA = np.random.default_rng(0).uniform(0.2, 0.4, (1, 24))
BETA = np.array([0.05])
SHARED = pytest.mark.parametrize("alignment", [-1.0, 1.0], ids=["bill-earned", "bill-paid"])


@cache
def answer() -> HouseholdResponse:
    return ExactPlanner(HOUSES, BETA).best(THETA)


def entropy_reward(policy: Floats) -> Floats:
    """-log π, 0 for what is refused."""
    return soft_bonus(policy, np.ones(()))


def indirect(reward: Floats) -> Floats:
    """The indirect term of a leader with this reward of hour, charge and action, shape (24,)."""
    policy = answer().policy
    advantage = leader_advantages(HOUSES, policy, reward)
    occupancy = mean_day(HOUSES, policy).occupancy
    weights = reward_weights(HOUSES, policy, occupancy, advantage, BETA)
    return pulled_back(HOUSES, weights)[0]


def bought_for(theta: Floats, temperature: Floats) -> Floats:
    """G, shape (24,): what prices act on in the houses' answer."""
    policy = ExactPlanner(HOUSES, temperature).best(theta).policy
    bought = mean_day(HOUSES, policy).bought.sum(axis=1)
    slope: Floats = -(HOUSES.day_weights * bought)[0]
    return slope


@cache
def closed_form() -> Floats:
    """β dH/dθ of the houses' answer."""
    found: Floats = BETA[0] * indirect(entropy_reward(answer().policy))
    return found


@SHARED
def test_the_indirect_term_is_that_of_the_entropy(alignment: float) -> None:
    found = indirect(alignment * HOUSES.follower_reward(THETA))
    np.testing.assert_allclose(found, -alignment * closed_form(), rtol=1e-7, atol=1e-10)
    assert np.linalg.norm(found) > 0.01


def test_the_entropy_rises_with_prices_as_what_is_bought_does_with_temperature() -> None:
    step = 1e-4
    slope = (bought_for(THETA, BETA + step) - bought_for(THETA, BETA - step)) / (2.0 * step)
    np.testing.assert_allclose(closed_form(), BETA[0] * slope, rtol=2e-4, atol=1e-5)


def test_a_leader_that_is_paid_the_entropy_too_has_no_indirect_term() -> None:
    soft = HOUSES.follower_reward(THETA) + BETA[0] * entropy_reward(answer().policy)
    assert np.abs(indirect(soft)).max() < 1e-9


@SHARED
def test_j_has_that_derivative(alignment: float) -> None:
    # By differences of the bill, of which the direct part is what is bought.
    step = 1e-4
    for hour in (0, 7, 18):
        bills = []
        for sign in (1.0, -1.0):
            theta = THETA + sign * step * np.eye(24)[hour]
            bills.append((bought_for(theta, BETA) * theta[0]).sum())
        slope = alignment * (bills[0] - bills[1]) / (2.0 * step)
        expected = alignment * (bought_for(THETA, BETA) - closed_form())[hour]
        assert slope == pytest.approx(expected, rel=1e-4)


@SHARED
def test_houses_that_are_paid_their_own_bill_say_the_same(alignment: float) -> None:
    planner, reward = ExactPlanner(HOUSES, BETA), HOUSES.follower_reward(THETA)

    def answered(epsilon: Floats) -> Floats:
        paid = (1.0 + alignment * epsilon[0]) * reward
        policy = planner.respond(paid, planner.start(1)).policy
        bought = mean_day(HOUSES, policy).bought.sum(axis=1)
        slope: Floats = -(HOUSES.day_weights * bought)
        return slope

    found = derivative(answered, np.array([0.03]))[0]
    error = np.linalg.norm(found + alignment * closed_form())
    assert error < 0.02 * np.linalg.norm(closed_form())


@dataclass(frozen=True, eq=False)
class KnownAdvantage:
    """A_L of a reward of hour, charge and action, shape (R, H, 24, C, A)."""

    reward: Floats

    def start(self, streams: Streams) -> Memory:
        del streams
        return {}

    def of(
        self, theta: Floats, response: HouseholdResponse, seen: HouseDays, memory: Memory,
        streams: Streams,
    ) -> Floats:  # fmt: skip
        del theta, memory, streams
        table = leader_advantages(HOUSES, response.policy, self.reward)
        runs, houses = np.arange(len(table))[:, None, None, None], np.arange(2)[:, None, None]
        here, chosen = seen.charge[..., :24], seen.action[..., :24]
        found: Floats = table[runs, houses, np.arange(24), here, chosen]
        return found


def sampled(reward: Floats, baseline: HourlyBaseline | None, runs: int) -> Floats:
    """Indirect terms of third batches, shape (runs, 24)."""
    planner = ExactPlanner(HOUSES, np.repeat(BETA, runs))
    theta = np.repeat(THETA, runs, axis=0)
    response = planner.best(theta)
    known = KnownAdvantage(np.repeat(reward, runs, axis=0))
    rollout = DayRollout(HOUSES, 40, closing_days=3)
    estimator = HouseholdCovariance(rollout, known, planner.temperature, baseline)
    streams = Streams(range(runs))
    memory = estimator.start(streams)
    for _ in range(3 if baseline else 1):
        estimate = estimator.estimate(theta, response, memory, streams)
    return estimate.indirect


@SHARED
@pytest.mark.parametrize("baseline", [None, HourlyBaseline()], ids=["published-form", "centred"])
def test_mean_of_bc_hg_is_the_closed_form(
    alignment: float, baseline: HourlyBaseline | None
) -> None:
    samples = sampled(alignment * HOUSES.follower_reward(THETA), baseline, 80)
    truth = -alignment * closed_form()
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - truth) / error).max() < 4.5
    # Power: the sign, as a whole.
    along = samples @ truth / (truth @ truth)
    assert along.mean() + 6.0 * along.std() / np.sqrt(len(along)) > 1.0
    assert along.mean() - 4.0 * along.std() / np.sqrt(len(along)) > 0.0


def test_bc_hg_has_nothing_to_say_where_the_leader_is_paid_the_entropy_too() -> None:
    bill = HOUSES.follower_reward(THETA)
    soft = bill + BETA[0] * entropy_reward(answer().policy)
    for baseline in (None, HourlyBaseline()):
        usual, found = (np.abs(sampled(reward, baseline, 3)).max() for reward in (bill, soft))
        assert found < 1e-6 * usual


def test_direct_only_lacks_it() -> None:
    found = DirectOnly(DayRollout(HOUSES, 4)).estimate(THETA, answer(), {}, Streams([0]))
    assert (found.indirect == 0.0).all()
