"""Actions that are continuous, and what the game makes of them."""

import numpy as np
import pytest

from bilevelrl.problems.home_battery.continuous import ContinuousActions, Limits
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery

HOUSE = HomeBattery.of_houses(1, noise=0.2)
GRID = HOUSE.grid
BOTH: tuple[Limits, ...] = ("cut", "scaled")
SHARES = np.linspace(-1.0, 1.0, 2001, dtype=np.float32)


def places(actions: ContinuousActions, charge: int) -> np.ndarray:
    return actions.chosen(np.full(len(SHARES), charge), SHARES)


def test_an_action_that_would_leave_the_range_is_cut_to_it() -> None:
    actions = ContinuousActions(GRID, "cut")
    cut = HomeBattery.of_houses(1, noise=0.2, infeasible="cut").grid
    step = GRID.action[1] - GRID.action[0]
    for charge in range(len(GRID.charge)):
        asked = np.abs(5.0 * SHARES[:, None] - GRID.action).argmin(axis=1)
        wanted = cut.energy[charge, asked]  # what is left of it
        possible = GRID.action[GRID.allowed[charge]]
        nearest = np.clip(wanted, possible[0], possible[-1])
        between = np.abs(5.0 * SHARES / step - np.floor(5.0 * SHARES / step) - 0.5) > 1e-3
        found = GRID.action[places(actions, charge)]
        np.testing.assert_allclose(found[between], nearest[between], atol=1e-12)
        assert (np.abs(found - wanted)[between] < step).all()


@pytest.mark.parametrize("limits", BOTH)
def test_every_share_is_an_action_that_is_possible(limits: Limits) -> None:
    actions = ContinuousActions(GRID, limits)
    for charge in range(len(GRID.charge)):
        found = places(actions, charge)
        assert GRID.allowed[charge, found].all()
        assert set(found) == set(np.flatnonzero(GRID.allowed[charge]))
        assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("limits", BOTH)
def test_probabilities_are_the_frequencies_of_sampled_shares(limits: Limits) -> None:
    actions = ContinuousActions(GRID, limits)
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(0.0, 1.0, 33), rng.uniform(0.1, 2.0, 33)
    found = actions.probabilities(mean, deviation)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    assert not found[~GRID.allowed].any()
    count = 40_000
    for charge in (0, 5, 16, 32):
        raw = mean[charge] + deviation[charge] * rng.standard_normal(count)
        chosen = actions.chosen(np.full(count, charge), np.tanh(raw).astype(np.float32))
        seen = np.bincount(chosen, minlength=41) / count
        error = np.sqrt(found[charge] * (1.0 - found[charge]) / count)
        assert (np.abs(seen - found[charge]) < 5.0 * error + 1e-4).all()


@pytest.mark.parametrize("limits", BOTH)
def test_the_soft_optimal_density_is_the_soft_optimal_policy(limits: Limits) -> None:
    """Of a density exp(Q(u) / β) on [-1, 1], the mass of an action's share is π of the game."""
    actions, beta = ContinuousActions(GRID, limits), 0.05
    theta = np.random.default_rng(1).uniform(0.2, 0.4, (1, 24))
    best = ExactPlanner(HOUSE, np.array([beta])).best(theta)
    value = best.value[0, 0]
    following = np.roll(value, -1, axis=0)
    ahead = following[:, GRID.lower] * (1 - GRID.share) + following[:, GRID.lower + 1] * GRID.share
    total = HOUSE.follower_reward(theta)[0, 0] + HOUSE.follower_discount * ahead
    width = np.diff(actions.edges, axis=1)
    weight = width * np.exp((total - beta * actions.log_width - value[..., None]) / beta)
    np.testing.assert_allclose(
        weight / weight.sum(axis=2, keepdims=True), best.policy[0, 0], atol=1e-9
    )


def test_refuses_unknown_limits() -> None:
    with pytest.raises(ValueError, match="limits must be 'cut' or 'scaled', got 'clip'"):
        ContinuousActions(GRID, "clip")  # type: ignore[arg-type]
