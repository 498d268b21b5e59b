"""The cells of road pricing: what their names stand for, and that runs are their own."""

from typing import Any

import numpy as np
import pytest

from bilevelrl.core.cma_es import CMAES
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import group_key
from bilevelrl.core.validation import ConfigError
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.day_to_day import DayToDayGame
from bilevelrl.models.network_flow.direct_only import DirectOnly
from bilevelrl.models.network_flow.externality import Externality
from bilevelrl.models.network_flow.hypergradient import net_cost, travel_time
from bilevelrl.models.network_flow.learned_road_covariance import LearnedRoadCovariance
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.road_covariance import RoadCovariance
from bilevelrl.problems.tolls.problem import HIGHEST_TOLL, TOLL_LINKS, Pricing
from bilevelrl.problems.tolls.settings import NUM_LINKS, TollsGradientParams
from tests.problems.tolls.cases import BEST, BLOCK, NO_TOLL, PARAMS, build, setting, trained

TRIPS = ("bc_hg", "covariance", "direct", "externality")


def test_the_shipped_constants_are_the_published_ones() -> None:
    assert BLOCK.constants.toll_links == TOLL_LINKS
    assert BLOCK.constants.highest_toll == HIGHEST_TOLL
    assert Pricing.published().network.num_links == NUM_LINKS[BLOCK.constants.network]


@pytest.mark.parametrize(
    ("estimator", "variant", "kind", "adjoint"),
    [
        ("bc_hg", "corrected", RoadCovariance, True),
        ("bc_hg", "improved", LearnedRoadCovariance, True),
        ("covariance", "corrected", RoadCovariance, False),
        ("covariance", "improved", LearnedRoadCovariance, False),
        ("direct", "corrected", DirectOnly, None),
        ("externality", "corrected", Externality, None),
    ],
)
def test_names_stand_for_what_they_say(
    estimator: str, variant: str, kind: type, adjoint: bool | None
) -> None:
    changes: dict[str, Any] = {"variant": variant, "temperature": 0.5, "trips_per_update": 7}
    found = build(estimator, [setting(estimator, **changes)] * 2).estimator
    assert type(found) is kind
    assert getattr(found, "adjoint", None) == adjoint
    assert found.seen.num_trips == 7
    np.testing.assert_array_equal(found.seen.rationality, [2.0, 2.0])


def test_a_setting_says_which_j_it_is_of() -> None:
    for objective, kind in (("tstt", travel_time), ("net", net_cost)):
        for count in (18, 76):
            roads = build(
                "exact", [setting("exact", objective=objective, tollable=count)]
            ).game.roads
            assert isinstance(roads, ChargedRoads)
            assert roads.objective is kind
            assert roads.num_parameters == count
    told = setting("bc_hg").conditions(BLOCK.shared())
    assert told == {
        "follower": "exact", "information": "actions", "temperature": 1.0, "objective": "tstt",
        "rationality": "1", "tollable": 18, "trips_per_update": 1000,
    }  # fmt: skip


def test_another_number_of_tolls_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"here: tollable = 19: allowed are \[18, 76\]"):
        BLOCK.check(setting("exact", tollable=19), "here")
    with pytest.raises(ValueError, match="tollable = 19: allowed are 18 and 76"):
        Pricing.published().links(19)


def test_one_trip_and_more_than_the_best_tolls_are_refused() -> None:
    with pytest.raises(ValueError, match=r"trips_per_update\n.*greater than or equal to 2"):
        setting("bc_hg", trips_per_update=1)
    assert setting("bc_hg", trips_per_update=2).trips_per_update == 2  # type: ignore[attr-defined]
    own = BLOCK.gradients.model_dump()
    for key, bad, bound in (
        ("budgets", 1, "greater than or equal to 2"),
        ("best_fractions", 2.0, "less than or equal to 1"),
        ("best_fractions", -0.5, "greater than or equal to 0"),
    ):
        with pytest.raises(ValueError, match=rf"{key}\.1\n.*{bound}"):
            TollsGradientParams.model_validate(own | {key: (own[key][0], bad)})


def test_the_step_falls_and_tolls_stay_within_bounds() -> None:
    rule = build("exact", [setting("exact", step_size=0.3, step_size_ratio=0.1)]).rule
    theta, state = np.zeros((1, 18)), rule.start((1, 18))
    steps = []
    for _ in range(BLOCK.training.num_updates):
        after = rule.step(theta, np.ones((1, 18)), state)
        steps.append((after - theta).max())
        theta = after
    assert steps[0] == pytest.approx(0.3)
    assert steps[-1] == pytest.approx(0.03)
    assert not rule.step(np.zeros((1, 18)), -np.ones((1, 18)), rule.start((1, 18))).any()
    assert rule.step(np.full((1, 18), 30.0), np.ones((1, 18)), rule.start((1, 18))).max() == 30.0


def test_the_shipped_leader_comes_within_95_percent_from_half_the_trips_that_are_allowed() -> None:
    own = setting("bc_hg", variant="improved")
    assert own.num_updates * own.trips_per_update <= 300_000  # type: ignore[attr-defined]
    run = trained("bc_hg", [own], [95_000])  # reported nowhere, and in no search
    game = build("bc_hg", [own]).game
    way = (game.optimal_return(run.theta)[0] - NO_TOLL) / (BEST - NO_TOLL)
    assert way > 0.95
    assert run.curves["env_steps"][0, -1] < 300_000


def test_without_adjoint_nothing_happens_on_the_net_cost_and_direct_tolls_hit_the_bound() -> None:
    net = {"objective": "net", "num_updates": 15}
    stuck = trained("covariance", [setting("covariance", variant="improved", **net)], [0])
    np.testing.assert_allclose(stuck.theta, 0.0, atol=1e-9)
    greedy = trained("direct", [setting("direct", step_size=3.0, **net)], [0])
    assert (greedy.theta > 15.0).all()


def test_a_black_box_keeps_to_the_tolls_that_are_allowed_and_nears_the_best_known() -> None:
    own = setting("cma_es", num_updates=25)
    built = build("cma_es", [own])
    assert isinstance(built.estimator, CMAES)
    assert built.estimator.bounds == (0.0, HIGHEST_TOLL)
    run = trained("cma_es", [own], [95_000])
    assert 0.0 <= run.theta.min() <= run.theta.max() <= HIGHEST_TOLL
    assert (built.game.optimal_return(run.theta)[0] - NO_TOLL) / (BEST - NO_TOLL) > 0.8


@pytest.mark.parametrize("estimator", [*TRIPS, "zero_order", "cma_es"])
def test_runs_are_their_own_and_repeat(estimator: str) -> None:
    few: dict[str, Any] = {"num_updates": 3}
    other = {"spread": 0.05} if estimator == "cma_es" else {"step_size": 0.05}
    settings = [setting(estimator, **few), setting(estimator, **other, **few)]
    assert group_key(settings[0]) == group_key(settings[1])
    together = trained(estimator, settings, [3, 4])
    for place, (own, seed) in enumerate(zip(settings, [3, 4], strict=True)):
        alone = trained(estimator, [own], [seed])
        np.testing.assert_array_equal(alone.theta[0], together.theta[place])
        for name, curve in alone.curves.items():
            np.testing.assert_array_equal(curve[0], together.curves[name][place], err_msg=name)


class _Locked:
    """A response of which nothing may be asked but the trips that are drawn from its policy."""

    def __init__(self, policy: Any) -> None:
        self.reached = _Policy(policy)


class _Policy:
    def __init__(self, policy: Any) -> None:
        self.policy = policy


@pytest.mark.parametrize("estimator", TRIPS)
@pytest.mark.parametrize("objective", ["tstt", "net"])
def test_leaders_that_see_trips_see_nothing_else(estimator: str, objective: str) -> None:
    for own in {each.variant: each for each in PARAMS.settings("tolls", estimator)}.values():
        changed = own.model_copy(update={"objective": objective})
        built, streams = build(estimator, [changed]), Streams([5])
        theta, memory = built.game.start(streams)
        answer = built.game.respond(theta, memory, streams)
        drawn, again = Streams([6]), Streams([6])
        estimate = built.estimator.estimate
        seen = estimate(theta, answer, built.estimator.start(drawn), drawn)
        locked = _Locked(answer.reached.policy)
        blind = estimate(theta, locked, built.estimator.start(again), again)
        np.testing.assert_array_equal(seen.gradient, blind.gradient)
        # What it knows beforehand holds no traveller: roads, demand, rationality.
        held = vars(built.estimator.seen.roads)
        assert set(held) == {"network", "charged", "highest", "objective"}
        assert isinstance(held["network"], Network)


def test_travellers_may_learn_from_day_to_day() -> None:
    learner = {"kind": "day_to_day", "start": "reset", "days": 2, "step_size": 0.05}
    own = setting("bc_hg", variant="improved", follower=learner, num_updates=4)
    built = build("bc_hg", [own])
    assert isinstance(built.game, DayToDayGame)
    assert (built.game.days, built.game.carries) == (2, False)
    told = own.conditions(BLOCK.shared())
    assert (told["follower"], told["start"], told["days"]) == ("day_to_day", "reset", 2)
    run = trained("bc_hg", [own], [0])
    np.testing.assert_array_equal(run.curves["follower_steps"][0], 721_200 * np.arange(1, 5))
    assert (run.curves["leader_return"] < run.curves["leader_return_optimal"]).all()
    assert (run.curves["follower_value_gap"] > 0.0).all()
    assert (run.curves["follower_kl"] > 0.0).all()


def test_a_planner_that_identifies_its_curves_is_told_apart() -> None:
    own = setting("bc_hg", variant="improved", model={"kind": "identified"})
    assert build("bc_hg", [own]).estimator.identifies
    assert not build("bc_hg", [setting("bc_hg", variant="improved")]).estimator.identifies
    told = own.conditions(BLOCK.shared())
    assert (told["information"], told["model"]) == ("rewards", "identified")
