"""Cells on days that vary: which tariff and game, and that a network gets ahead of fixed prices."""

import numpy as np
import pytest

from bilevelrl.core.ascent import Adam
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.search import VaryingClimber
from bilevelrl.problems.home_battery.varying_days.tariffs import NetworkPrices, SamePrices
from tests.problems.home_battery.cases import BLOCK, build, setting, trained


def test_names_stand_for_what_they_say() -> None:
    fixed, network = (
        build("exact", [setting("exact", each)] * 2) for each in ("varying", "network")
    )
    for built in (fixed, network):
        assert isinstance(built.game, VaryingGame)
        assert built.game.problem.types.number == 9
        assert built.game.problem.houses.tariff_weight == 0.5
        assert built.game.problem.houses.capacity == BLOCK.constants.capacity
        np.testing.assert_array_equal(built.game.exact.temperature, [0.05, 0.05])
    assert isinstance(fixed.game.tariff, SamePrices)
    assert isinstance(fixed.rule, Projected)
    assert isinstance(network.game.tariff, NetworkPrices)
    assert network.game.tariff.width == BLOCK.training.network_width
    assert isinstance(network.rule, Adam)
    wide = setting("exact", "network", network_width=7, houses=17)
    game = build("exact", [wide]).game
    assert (game.tariff.width, game.problem.houses.num_houses) == (7, 17)


def test_a_setting_says_which_j_it_is_of() -> None:
    told = setting("exact", "network").conditions(BLOCK.shared())
    assert (told["leader"], told["day_spread"], told["study"]) == ("network", 0.2, "network")
    assert "day_spread" not in setting("exact").conditions(BLOCK.shared())


def test_a_network_gets_farther_than_any_fixed_prices() -> None:
    fixed, network = setting("exact", "varying"), setting("exact", "network", num_updates=100)
    game = build("exact", [network]).game
    climber = VaryingClimber(VaryingPlanner(game.problem, np.array([0.05])), 200)
    known = climber.known()
    flat, best_fixed, best = (climber.value(prices) for prices in known.values())
    run = trained("exact", [network], [95_000])
    reached = game.optimal_return(run.theta)[0]
    assert (best_fixed - flat) / (best - flat) < 0.95
    assert (reached - flat) / (best - flat) > 0.99
    np.testing.assert_allclose(run.curves["cosine"], 1.0)
    alone = trained("exact", [fixed], [95_000])
    found = build("exact", [fixed]).game.optimal_return(alone.theta)[0]
    assert found == pytest.approx(best_fixed, abs=1e-6)


def test_coordinates_add_up_to_j() -> None:
    run = trained("exact", [setting("exact", "network", num_updates=3)], [95_000])
    places = run.coordinates
    costs = places["peak_cost"] + places["tariff_cost"]
    np.testing.assert_allclose(-costs, run.curves["leader_return"], rtol=1e-9)


@pytest.mark.parametrize("entry", ["varying", "network"])
def test_runs_are_their_own_and_repeat(entry: str) -> None:
    settings = [
        setting("exact", entry, num_updates=3),
        setting("exact", entry, num_updates=3, step_size=0.2),
    ]
    together = trained("exact", settings, [3, 4])
    for place, seed in enumerate([3, 4]):
        alone = trained("exact", [settings[place]], [seed])
        np.testing.assert_array_equal(alone.theta[0], together.theta[place])
