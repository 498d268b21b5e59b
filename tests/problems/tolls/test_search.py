"""The best known tolls are those that independent code found, and nothing nearby is better."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.search import Searched
from bilevelrl.core.seeding import Streams
from bilevelrl.evaluation.inputs import BASELINE_COLUMNS
from bilevelrl.problems.tolls.problem import Pricing
from bilevelrl.problems.tolls.search import LINKS_TABLE, Climber, search, starts
from tests.problems.tolls.cases import BLOCK, PROBLEM

#: No toll, best of 18 tolls; by rationality and objective.
ANCHORS = {
    (0.5, "tstt"): (7_772_674, 7_625_443),
    (0.5, "net"): (7_312_233, 7_192_239),
    (1.0, "tstt"): (7_433_602, 7_305_771.26),
    (1.0, "net"): (7_329_213, 7_200_102.27),
    (2.0, "tstt"): (7_422_518, 7_261_451),
    (2.0, "net"): (7_386_173, 7_219_999),
}


def climber(rationality: float, objective: str, tollable: int = 18) -> Climber:
    return Climber(Pricing.published().roads(objective, tollable), rationality, 1e-10)


@pytest.mark.parametrize(("rationality", "objective"), ANCHORS)
def test_no_toll_and_the_best_18_tolls_are_those_of_the_spec(
    rationality: float, objective: str
) -> None:
    nothing, best = ANCHORS[rationality, objective]
    own = climber(rationality, objective)
    assert own.value(np.zeros(18)) == pytest.approx(-nothing, abs=0.51)
    _, found = own.climb(np.zeros(18), 400)
    # The spec's own ascents at .5 and 2 stop a few vehicle-minutes short.
    assert -best - 0.51 <= found <= -best + 3.0


def test_the_best_tolls_are_those_of_the_spec() -> None:
    known = [4.66, 4.66, 0, 4.46, 4.49, 3.56, 4.29, 4.83, 0, 4.08, 4.08, 4.30, 4.30, 1.45, 4.85,
             1.47, 4.30, 3.55]  # fmt: skip
    found, _ = climber(1.0, "tstt").climb(np.full(18, 2.0), 400)
    np.testing.assert_allclose(found, known, atol=0.011)


def test_with_a_toll_on_every_link_the_bound_costs_next_to_nothing() -> None:
    # Marginal-cost tolls reach 56.8 minutes and 7,111,279.91 (spec).
    _, found = climber(1.0, "net", 76).climb(np.zeros(76), 400)
    assert found == pytest.approx(-7_111_279.91, abs=5.0)
    assert found <= -7_111_279.90


def test_without_a_bound_tolls_on_every_link_reach_the_travel_time_of_the_spec() -> None:
    # From no toll the ascent may stop at 7,194,499.
    roads = replace(Pricing.published(), highest_toll=100.0).roads("tstt", 76)
    own = Climber(roads, 1.0, 1e-12)
    found = max(own.climb(start, 600)[1] for _, start in starts(BLOCK.search, 76))
    assert found == pytest.approx(-7_194_256.26, abs=0.5)


def test_nothing_near_the_best_tolls_is_better() -> None:
    own = climber(1.0, "tstt")
    best, highest = own.climb(np.zeros(18), 400)
    generator = np.random.default_rng(1)
    for _ in range(20):
        near = np.clip(best + generator.normal(0.0, 0.3, 18), 0.0, 30.0)
        assert own.value(near) < highest


@cache
def searched() -> Searched:
    few = BLOCK.search.model_copy(update={"num_evaluations": 25, "random_starts": 1})
    block = BLOCK.model_copy(update={"search": few})
    return search(type(PROBLEM)("tolls", block, PROBLEM.followers), None)  # type: ignore[arg-type]


def test_every_case_has_a_baseline_and_tolls() -> None:
    entries: list[dict[str, Any]] = searched().entries
    cases = {(each["temperature"], each["case"]) for each in entries}
    assert len(cases) == len(BLOCK.search.temperatures) * 4
    assert len(entries) == 3 * len(cases)
    for each in entries:
        assert set(BASELINE_COLUMNS) - {"problem"} <= each.keys()
        assert each["share_origin"] == each["charge_nothing_return"] == each["initial_return"]
        assert each["best_known"] > each["share_origin"]
    first = entries[0]
    assert first["case"] == "objective=tstt;tollable=18"
    best = searched().best_theta["published_1.0"]
    assert best.shape == (18,)
    assert climber(1.0, "tstt").value(best) == first["best_known"]
    assert {each["case"] for each in entries if "unbounded_optimum" in each} == {
        "objective=net;tollable=76"
    }


def test_links_are_told_without_and_with_the_best_tolls() -> None:
    table = searched().tables["links"]
    assert list(table) == list(LINKS_TABLE)
    own = table[(table["temperature"] == 1.0) & (table["case"] == "objective=tstt;tollable=18")]
    by_state = dict(iter(own.groupby("state")))
    assert (by_state["no toll"]["toll"] == 0.0).all()
    assert (by_state["best known"]["toll"] > 0.0).sum() <= 18
    for state, value in (("no toll", "share_origin"), ("best known", "best_known")):
        links = by_state[state]
        net = Pricing.published().network
        total = (links["flow"] * links["time_ratio"] * net.free_flow_time).sum()
        assert -total == pytest.approx(searched().entries[0][value], rel=1e-7)


def test_starts_are_no_toll_and_random_ones_within_bounds() -> None:
    found = dict(starts(BLOCK.search, 18))
    assert not found.pop("no toll").any()
    assert len(found) == BLOCK.search.random_starts
    for each in found.values():
        assert (each >= 0.0).all()
        assert (each <= BLOCK.search.largest_start).all()
        assert each.any()


def test_cut_at_the_highest_toll_the_externality_update_ends_short_of_the_best() -> None:
    # With a toll on every link, on the net cost, and with exact flows: what it is made for.
    game = climber(1.0, "net", 76).game
    theta, memory, streams = np.zeros((1, 76)), np.full((1, 76), np.nan), Streams([0])
    for _ in range(300):
        answer = game.respond(theta, memory, streams)
        wanted = answer.reached.flow * answer.reached.slope
        theta = np.clip(theta + 0.03 * (wanted - theta), 0.0, 30.0)
    assert np.abs(np.clip(wanted, 0.0, 30.0) - theta).max() < 0.1  # where it stays
    assert (wanted > 31.0).any()
    nothing, best = -7_329_213.14, -7_111_280.4
    assert (game.optimal_return(theta)[0] - nothing) / (best - nothing) < 0.6
